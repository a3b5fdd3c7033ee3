"""What the checks share: the files of the tree that count, and how findings are reported."""
import pathlib
import subprocess
import sys

# The same tests that hold these checks run them on small trees of their own.
SKIPPED_WITHOUT_GIT = {".git", ".venv", "build", "third_party", "node_modules", "__pycache__", "likeness-home", "ready"}


def files(root):
    """Files that git tracks, or would on `git add`; all files but build products where there is no git."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, check=False)
    if listed.returncode == 0:
        found = {pathlib.PurePosixPath(name.decode()) for name in listed.stdout.split(b"\0") if name}
        return sorted(path for path in found if (root / path).is_file())
    return sorted(pathlib.PurePosixPath(path.relative_to(root)) for path in root.rglob("*")
                  if path.is_file() and not SKIPPED_WITHOUT_GIT.intersection(path.relative_to(root).parts))


def text_of(root, path):
    """The text of a file, or None when it is not text."""
    raw = (root / path).read_bytes()
    if b"\0" in raw:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def report(name, findings, looked_at):
    """Prints the findings, one a line, and ends the program: 1 when there are any."""
    for finding in findings:
        print(finding)
    if findings:
        sys.exit(f"{name}: {len(findings)} found")
    print(f"{name}: {looked_at}, nothing found")
    sys.exit(0)
