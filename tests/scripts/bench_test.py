#!/usr/bin/env python3
"""What scripts/bench makes of a benchmark's last line: completed, judged, and an exit code."""
import json
import subprocess

import sandbox

GOOD = {"name": "speed", "value": 61.5, "unit": "images/s", "bar": 60, "better": "higher", "ok": True}


class Bench(sandbox.Sandbox):
    def bench(self, *lines, code=0):
        program = self.write("program", "#!/bin/sh\ncat <<'END'\n" + "\n".join(lines) + f"\nEND\nexit {code}\n", 0o755)
        return subprocess.run(["python3", str(sandbox.SCRIPTS / "lib/bench.py"), "run", "ingest", str(program)],
                              capture_output=True, text=True, check=False)

    def test_the_last_line_is_one_object_with_name_and_machine(self):
        done = self.bench("warming up", json.dumps({"results": [GOOD]}))
        self.assertEqual(done.returncode, 0, done.stderr)
        first, last = done.stdout.splitlines()
        self.assertEqual(first, "warming up")
        report = json.loads(last)
        self.assertEqual(report["bench"], "ingest")
        self.assertEqual(set(report["machine"]), {"cpu", "cores", "memory_mib", "flags", "load", "kernel"})
        self.assertEqual(report["results"], [GOOD])

    def test_a_missed_bar_ends_with_1(self):
        slow = {**GOOD, "value": 59, "ok": False}
        late = {**GOOD, "name": "p50", "value": 41, "bar": 40, "better": "lower", "ok": False}
        done = self.bench(json.dumps({"results": [GOOD, slow, late]}))
        self.assertEqual(done.returncode, 1)
        self.assertIn("below the bar: speed, p50", done.stderr)

    def test_ok_cannot_contradict_value_and_bar(self):
        done = self.bench(json.dumps({"results": [{**GOOD, "value": 10}]}))
        self.assertEqual(done.returncode, 2)
        self.assertIn("`ok` contradicts", done.stderr)

    def test_a_figure_without_a_bar_is_ok(self):
        self.assertEqual(self.bench(json.dumps({"results": [{**GOOD, "bar": None}]})).returncode, 0)

    def test_no_object_at_the_end(self):
        for lines in (["done"], ["[]"], ['{"results": []}'], ['{"results": [{"name": "x"}]}']):
            self.assertEqual(self.bench(*lines).returncode, 2, lines)

    def test_a_benchmark_that_crashes_after_its_report_fails(self):
        self.assertEqual(self.bench(json.dumps({"results": [GOOD]}), code=3).returncode, 3)


if __name__ == "__main__":
    sandbox.main()
