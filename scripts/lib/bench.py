#!/usr/bin/env python3
"""What scripts/bench does beside building: `bench.py list`, and `bench.py run NAME PROGRAM ARGUMENTS...`."""
import json
import os
import pathlib
import re
import runpy
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIELDS = {"name", "value", "unit", "bar", "better", "ok"}


def first_comment(path):
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        text = line.strip()
        if text.startswith(("//", "#")) and not text.startswith(("#!", "#include", "#pragma")):
            return text.lstrip("/# ").strip()
        if text.startswith('"""'):
            return text.strip('" ')
    return ""


def benchmarks():
    """(name, what it measures) of each: bench/NAME.cc, and the executable scripts bench/NAME."""
    found = {}
    for path in sorted((ROOT / "bench").glob("*")):
        if path.suffix == ".cc" and re.search(r"int main|BENCHMARK_MAIN", path.read_text(encoding="utf-8", errors="replace")):
            found[path.stem] = first_comment(path)
        elif path.is_file() and not path.suffix and os.access(path, os.X_OK):
            found[path.name] = first_comment(path)
    return sorted(found.items())


def complaint(report):
    """Why this is not the object that a benchmark ends with, or None."""
    if not isinstance(report, dict) or not isinstance(report.get("results"), list) or not report["results"]:
        return "its last line is no JSON object with `results`"
    for result in report["results"]:
        if not isinstance(result, dict) or not FIELDS <= result.keys():
            return f"a result lacks one of {', '.join(sorted(FIELDS))}: {json.dumps(result)}"
        if result["better"] not in ("higher", "lower"):
            return f"`better` is higher or lower: {json.dumps(result)}"
        bar, value = result["bar"], result["value"]
        reached = bar is None or (value is not None and (value >= bar if result["better"] == "higher" else value <= bar))
        if bool(result["ok"]) != reached:
            return f"`ok` contradicts value and bar: {json.dumps(result)}"
    return None


def run(name, command):
    machine = runpy.run_path(str(ROOT / "scripts" / "machine-json"))["machine"]()  # before: the load without ours
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        for line in program.stdout:  # The last line is held back, to be completed.
            if line.strip():
                if last:
                    print(last, flush=True)
                last = line.rstrip("\n")
    try:
        report = json.loads(last)
    except ValueError:
        report = None
    wrong = complaint(report)
    if wrong:
        print(last, flush=True)
        print(f"likeness: the benchmark {name} ended with {program.returncode}, and {wrong}", file=sys.stderr)
        return 2
    print(json.dumps({"bench": name, "machine": machine, **report}))
    missed = [result["name"] for result in report["results"] if not result["ok"]]
    if missed:
        print(f"likeness: below the bar: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else program.returncode


def main():
    if sys.argv[1] == "list":
        found = benchmarks()
        width = max((len(name) for name, _ in found), default=0)
        for name, text in found:
            print(f"{name:{width}}  {text}")
        return 0
    return run(sys.argv[2], sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
