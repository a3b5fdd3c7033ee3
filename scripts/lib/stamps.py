#!/usr/bin/env python3
"""Writes a pins.jsonl of the photographs among Tux Paint's stamps: `stamps.py STAMPS_FOLDER PINS.jsonl`.

The description is the first line of NAME.txt, which is English; the folder is the board. The stamps mix photographs with
drawings: letters, cartoons and mirrored twins are left out. A file that would not change is not touched.
"""
import datetime
import json
import os
import pathlib
import sys

DRAWINGS = {"cartoon", "symbols"}


def is_photograph(path):
    folders = path.parts[:-1]
    if folders[:2] == ("symbols", "money") and folders[-1] == "coins":
        return True
    return not DRAWINGS.intersection(folders) and not path.stem.endswith("_mirror")


def description_of(picture):
    try:
        with open(picture.with_suffix(".txt"), encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except FileNotFoundError:
        return picture.stem.replace("_", " ").replace("-", " ")


def board_title(board):
    return " / ".join(part.replace("_", " ").capitalize() for part in board.split("/"))


def main():
    folder, output = map(pathlib.Path, sys.argv[1:])
    lines = []
    for picture in sorted(folder.rglob("*.png")):
        relative = picture.relative_to(folder)
        if not is_photograph(relative):
            continue
        board = relative.parent.as_posix()
        created = datetime.datetime.fromtimestamp(int(picture.stat().st_mtime), datetime.timezone.utc)
        lines.append(json.dumps({
            "pin": relative.with_suffix("").as_posix(), "image": str(picture), "board": board,
            "board_title": board_title(board), "user": "tuxpaint", "description": description_of(picture),
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ")}, ensure_ascii=False))
    if not lines:
        sys.exit(f"likeness: there are no stamps in {folder}; is the package tuxpaint-stamps-default installed whole?")
    text = "\n".join(lines) + "\n"
    if output.exists() and output.read_text(encoding="utf-8") == text:
        return
    temporary = output.with_name(output.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, output)


if __name__ == "__main__":
    main()
