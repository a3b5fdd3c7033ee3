"""A tree of a few files in which a check is run, and a fault planted."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"


class Sandbox(unittest.TestCase):
    """Each test has an empty folder, `self.root`."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def write(self, name, content, mode=0o644):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content)
        path.chmod(mode)
        return path

    def run_script(self, name, *arguments, **options):
        return subprocess.run([str(SCRIPTS / name), *map(str, arguments)], capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, check=False, **options)

    def check(self, name, *arguments):
        return self.run_script(name, "--root", self.root, *arguments)

    def assert_clean(self, name, *arguments):
        done = self.check(name, *arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def assert_caught(self, name, text, *arguments):
        done = self.check(name, *arguments)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn(text, done.stdout + done.stderr)


def main():
    sys.exit(unittest.main())
