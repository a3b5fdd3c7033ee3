#!/usr/bin/env python3
"""scripts/engines refuses what it does not know, and says what does not run. What it starts is tested by those who use it."""
import sandbox


class Engines(sandbox.Sandbox):
    def engines(self, *arguments):
        return self.run_script("engines", *arguments, "--at", self.root / "engines")

    def test_words_it_does_not_know_end_with_2(self):
        for words in (["begin"], ["start", "mysql"], ["kill", "nats"], ["kill", "nats", "4"], ["kill", "s3", "1"],
                      ["pid"], ["restart", "nats", "x"], ["start", "--now"]):
            done = self.engines(*words)
            self.assertEqual(done.returncode, 2, (words, done.stderr))

    def test_what_does_not_run_is_said(self):
        self.assertEqual(self.engines("stop").returncode, 0)
        status = self.engines("status")
        self.assertEqual(status.returncode, 1)
        self.assertEqual(status.stdout.count("does not run"), 7, status.stdout)
        for verb in ("env", "config"):
            done = self.engines(verb, "nats")
            self.assertEqual(done.returncode, 1)
            self.assertIn("nats does not run", done.stderr)
        self.assertIn("postgres does not run", self.engines("pid", "postgres").stderr)

    def test_a_process_number_that_was_given_out_again_is_not_taken_for_a_server(self):
        self.write("engines/pids/postgres", "1 12345678901\n")
        self.assertEqual(self.engines("pid", "postgres").returncode, 1)
        self.assertEqual(self.engines("wipe").returncode, 0)


if __name__ == "__main__":
    sandbox.main()
