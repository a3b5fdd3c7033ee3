#!/usr/bin/env python3
"""scripts/demo calls likeness in the right order, judges the answer of --check, and stops the server that it started."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import sandbox

# Stands for the binary: notes its arguments in HOME/calls, and serves one picture with the parts of the API that are asked.
LIKENESS = r'''#!/usr/bin/env python3
import hashlib, http.server, json, os, sys
home = sys.argv[sys.argv.index("--home") + 1]
with open(os.path.join(home, "calls"), "a") as calls:
    print(*[a for a in sys.argv[1:] if a not in ("--home", home)], file=calls)
if "serve" not in sys.argv:
    sys.exit(0)
with open(os.path.join(home, "pid"), "w") as pid:
    print(os.getpid(), file=pid)
if os.environ.get("FAKE") == "dies":
    sys.exit("cannot serve")
PIXELS = b"pixels of the one picture \r\n\x00"
MD5 = hashlib.md5(PIXELS).hexdigest()
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(PIXELS if self.path.endswith("/pixels") else json.dumps(
            {"status": "ok", "total": 1, "images": [{"signature": MD5}]}).encode())
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        found = MD5 if PIXELS in body and os.environ.get("FAKE") != "wrong" else "0" * 32
        self.answer(json.dumps({"results": [{"signature": found, "score": 1, "distance": 0, "source": "a.png",
            "pins": [{"description": "A frog."}]}], "coverage": {"searched": 1, "images": 1}, "ms": {"total": 2}}).encode())
    def log_message(self, *arguments):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
'''


class Demo(sandbox.Sandbox):
    def setUp(self):
        super().setUp()
        self.binary = self.write("likeness", LIKENESS, 0o755)
        self.pictures = self.write("pictures/a.png", "").parent
        self.home = self.root / "home"

    def environment(self, fake=""):
        return {**os.environ, "LIKENESS_BINARY": str(self.binary), "FAKE": fake}

    def demo(self, *arguments, fake=""):
        return self.run_script("demo", self.pictures, "--home", self.home, *arguments, env=self.environment(fake))

    def server_is_gone(self):
        return not pathlib.Path("/proc", (self.home / "pid").read_text().strip()).exists()

    def test_check_prints_the_answer_and_stops_the_server(self):
        done = self.demo("--check")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("A frog.", done.stdout)
        self.assertTrue(self.server_is_gone())
        calls = (self.home / "calls").read_text().splitlines()
        self.assertEqual(calls[:3], [f"add {self.pictures}", "fingerprint", "index"])
        self.assertRegex(calls[3], r"^serve --port \d+$")

    def test_check_fails_when_the_picture_is_not_the_first_hit(self):
        done = self.demo("--check", fake="wrong")
        self.assertEqual(done.returncode, 1)
        self.assertIn("not the first result", done.stderr)
        self.assertTrue(self.server_is_gone())

    def test_check_fails_when_the_server_dies(self):
        done = self.demo("--check", fake="dies")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the server ended before it answered", done.stderr)

    def test_a_port_in_use_is_refused_before_any_work(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = self.demo("--port", port)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"port {port} is taken by another program", done.stderr)
        self.assertFalse(self.home.exists())

    def test_ctrl_c_stops_the_server(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(sandbox.SCRIPTS / "demo"), str(self.pictures), "--home", str(self.home), "--port", str(port)]
        with subprocess.Popen(command, env=self.environment(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True) as process:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                with socket.socket() as client:
                    if client.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            again = self.demo("--port", port)
            self.assertIn("a Likeness server answers at", again.stderr)
            os.killpg(process.pid, signal.SIGINT)
            self.assertNotEqual(process.wait(20), 0)
        self.assertTrue(self.server_is_gone())

    def test_mistakes_on_the_command_line_end_with_2(self):
        for arguments in (["--nonsense"], ["--port", "99999"], ["--port", "x"], ["second"], ["--home"]):
            self.assertEqual(self.demo(*arguments).returncode, 2, arguments)
        done = self.run_script("demo", self.root / "gone", env=self.environment())
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no folder or file", done.stderr)


class Stamps(sandbox.Sandbox):
    def test_photographs_become_pins_with_description_and_board(self):
        for name in ("animals/birds/owl.png", "animals/cartoon/duck.png", "symbols/alphabets/a.png",
                     "symbols/money/euro/coins/1.png", "town/bus_mirror.png"):
            self.write("stamps/" + name, "")
        self.write("stamps/animals/birds/owl.txt", "An owl.\nde.utf8=Eine Eule.\n")
        stamps, output = self.root / "stamps", self.root / "pins.jsonl"
        subprocess.run(["python3", str(sandbox.SCRIPTS / "lib/stamps.py"), stamps, output], check=True)
        pins = [json.loads(line) for line in output.read_text().splitlines()]
        self.assertEqual([pin["pin"] for pin in pins], ["animals/birds/owl", "symbols/money/euro/coins/1"])
        self.assertEqual(pins[0]["description"], "An owl.")
        self.assertEqual((pins[0]["board"], pins[0]["board_title"]), ("animals/birds", "Animals / Birds"))
        self.assertEqual(pins[0]["image"], str(stamps / "animals/birds/owl.png"))
        written = output.stat().st_mtime_ns
        subprocess.run(["python3", str(sandbox.SCRIPTS / "lib/stamps.py"), stamps, output], check=True)
        self.assertEqual(output.stat().st_mtime_ns, written)


if __name__ == "__main__":
    sandbox.main()
