"""deploy/: units, manifests and job scripts are what they claim, as far as a machine without a cluster can tell."""
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

import yaml

import sandbox

DEPLOY = sandbox.ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"


def likeness_binary():
    """The program under test: LIKENESS_BINARY, or what was built last; None when there is none."""
    if os.environ.get("LIKENESS_BINARY"):
        return os.environ["LIKENESS_BINARY"]
    built = [path for path in sandbox.ROOT.glob("build/*/bin/likeness") if "asan" not in str(path)]
    return str(max(built, key=lambda path: path.stat().st_mtime)) if built else None


def documents():
    """(file name, document) of every manifest."""
    for path in sorted(KUBERNETES.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield path.name, document


def pod_specs():
    """(name, pod specification) of everything that runs."""
    for _, document in documents():
        spec = document.get("spec", {})
        if document["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            yield document["metadata"]["name"], spec["template"]["spec"]


def containers():
    for name, pod in pod_specs():
        for container in pod.get("initContainers", []) + pod["containers"]:
            yield name, pod, container


def likeness_commands():
    """(where, words after `likeness`) of every command line of ours in deploy/."""
    for path in DEPLOY.rglob("*.service"):
        for line in path.read_text().splitlines():
            if line.startswith("ExecStart="):
                yield path.name, line.partition("=")[2].split()[1:]
    for name, _, container in containers():
        if container["command"][0] == "likeness":
            yield name, container["command"][1:]
    for path in [*DEPLOY.rglob("*.sh"), *DEPLOY.rglob("*.sbatch")]:
        for line in path.read_text().splitlines():
            for match in re.finditer(r"(?:^|\()likeness (--[^|&)]*)", line):
                yield path.name, match.group(1).replace('"', "").split()


class Commands(unittest.TestCase):
    def test_there_are_command_lines_of_every_job(self):
        said = {word for _, words in likeness_commands() for word in words}
        self.assertLessEqual({"plan", "worker", "join", "materialise", "queue", "leaf", "root"}, said)

    def test_the_program_knows_every_one(self):
        binary = likeness_binary()
        if binary is None:
            self.skipTest("likeness is not built")
        for where, words in likeness_commands():
            with self.subTest(where=where, words=words):
                commands = [word for word in words if re.fullmatch(r"[a-z]+", word)]
                self.assertEqual(len(commands), 1)
                done = subprocess.run([binary, commands[0], "--help"], capture_output=True, text=True, timeout=30)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertNotIn("Subcommands:", done.stdout, f"there is no command {commands[0]}")
                program = subprocess.run([binary, "--help"], capture_output=True, text=True, timeout=30).stdout
                for flag in [word for word in words if word.startswith("--")]:
                    self.assertRegex(done.stdout + program, rf"(?<![\w-]){flag}(?![\w-])")

    def test_the_program_understands_the_configuration(self):
        binary = likeness_binary()
        if binary is None:
            self.skipTest("likeness is not built")
        with tempfile.TemporaryDirectory() as home:
            shutil.copy(KUBERNETES / "likeness.toml", home)
            done = subprocess.run([binary, "--home", home, "queue"], capture_output=True, text=True, timeout=60,
                                  env={**os.environ, "PGPASSWORD": "x"})
            # No engine answers here: that is found after the keys and their values were read.
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertNotIn("likeness.toml", done.stderr)
            self.assertNotIn("unknown key", done.stderr)


class Systemd(unittest.TestCase):
    def test_units_are_valid(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze is not here")
        with tempfile.TemporaryDirectory() as folder:
            units = []
            for path in sorted((DEPLOY / "systemd").iterdir()):
                name = path.name.replace("@.", "@1.")
                text = path.read_text().replace("/usr/bin/likeness", "/bin/true")  # which must be there to be verified
                (pathlib.Path(folder) / name).write_text(text)
                units.append(str(pathlib.Path(folder) / name))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True,
                                  timeout=60, env={**os.environ, "SYSTEMD_UNIT_PATH": folder + ":"})
            ours = [line for line in (done.stdout + done.stderr).splitlines() if "likeness" in line]
            self.assertEqual(ours, [])

    def test_a_worker_is_asked_to_stop_and_comes_back_after_a_crash(self):
        unit = (DEPLOY / "systemd" / "likeness-worker@.service").read_text()
        for line in ("KillSignal=SIGTERM", "Restart=always", "StartLimitIntervalSec=0", "User=likeness"):
            self.assertIn(line + "\n", unit)
        self.assertLess(int(re.search(r"TimeoutStopSec=(\d+)", unit).group(1)), 60)

    def test_the_timer_starts_a_unit_that_exists(self):
        self.assertEqual({path.stem for path in (DEPLOY / "systemd").glob("*.timer")},
                         {path.stem for path in (DEPLOY / "systemd").glob("*.service")} - {"likeness-worker@", "likeness-leaf@", "likeness-root"})


class Kubernetes(unittest.TestCase):
    def test_every_file_is_applied(self):
        kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
        applied = {"kustomization.yaml", *kustomization["resources"]}
        applied |= {name for generator in kustomization["configMapGenerator"] for name in generator["files"]}
        self.assertEqual(applied, {path.name for path in KUBERNETES.iterdir()})
        if shutil.which("kubectl"):
            done = subprocess.run(["kubectl", "kustomize", str(KUBERNETES)], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            kinds = [document["kind"] for document in yaml.safe_load_all(done.stdout)]
            self.assertEqual(kinds.count("CronJob"), 2)
            self.assertNotIn("Secret", kinds)

    def test_shapes(self):
        expected = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "Service": "v1", "CronJob": "batch/v1", "Namespace": "v1", "ServiceAccount": "v1",
                    "Role": "rbac.authorization.k8s.io/v1", "RoleBinding": "rbac.authorization.k8s.io/v1",
                    "Kustomization": "kustomize.config.k8s.io/v1beta1"}
        for file, document in documents():
            with self.subTest(file=file, kind=document["kind"]):
                self.assertEqual(document["apiVersion"], expected[document["kind"]])
                if document["kind"] == "Deployment" and document["metadata"]["name"] == "likeness-worker":
                    self.assertNotIn("replicas", document["spec"], "the autoscaler sets it")
                if document["kind"] in ("Deployment", "StatefulSet"):
                    labels = document["spec"]["template"]["metadata"]["labels"]
                    self.assertEqual(document["spec"]["selector"]["matchLabels"], labels)
                if document["kind"] == "CronJob":
                    self.assertEqual(document["spec"]["concurrencyPolicy"], "Forbid")
                    self.assertEqual(len(document["spec"]["schedule"].split()), 5)
                    template = document["spec"]["jobTemplate"]["spec"]["template"]
                    self.assertEqual(template["spec"]["restartPolicy"], "Never")

    def test_pods_are_confined_and_ask_for_what_they_use(self):
        for name, pod, container in containers():
            with self.subTest(name=name, container=container["name"]):
                self.assertTrue(pod["securityContext"]["runAsNonRoot"])
                self.assertIs(pod["automountServiceAccountToken"], name == "likeness-scale")
                self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
                self.assertFalse(container["securityContext"]["allowPrivilegeEscalation"])
                self.assertLessEqual({"cpu", "memory"}, set(container["resources"]["requests"]))
                self.assertIn("memory", container["resources"]["limits"])

    def test_volumes_are_there(self):
        generated = {generator["name"] for generator in
                     yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["configMapGenerator"]}
        for name, pod, container in containers():
            with self.subTest(name=name, container=container["name"]):
                volumes = {volume["name"]: volume for volume in pod["volumes"]}
                self.assertLessEqual({mount["name"] for mount in container["volumeMounts"]}, set(volumes))
                for volume in volumes.values():
                    if "configMap" in volume:
                        self.assertIn(volume["configMap"]["name"], generated)

    def test_secrets_are_named_and_never_written(self):
        for _, document in documents():
            self.assertNotEqual(document["kind"], "Secret")
        for name, _, container in containers():
            for variable in container.get("env", []):
                if re.search("PASS|SECRET|TOKEN|KEY", variable["name"]):
                    self.assertIn("secretKeyRef", variable.get("valueFrom", {}), f"{name}: {variable['name']}")
        for path in DEPLOY.rglob("*"):
            if path.is_file():
                self.assertNotRegex(path.read_text(), r"://[^/\s\"]*:[^/\s\"@]+@", f"{path.name}: a password in a URL")

    def test_a_worker_has_time_to_give_its_lease_back(self):
        pods = dict(pod_specs())
        self.assertGreaterEqual(pods["likeness-worker"]["terminationGracePeriodSeconds"], 10)

    def test_leaves_and_roots_find_each_other(self):
        by_name = {(document["kind"], document.get("metadata", {}).get("name")): document for _, document in documents()}
        leaf = by_name["StatefulSet", "likeness-leaf"]["spec"]
        container, = leaf["template"]["spec"]["containers"]
        words = container["command"]
        of = int(words[words.index("--of") + 1])
        self.assertEqual(leaf["replicas"] % of, 0, "every share of the collection has as many replicas")
        port, = container["ports"]
        self.assertEqual(container["readinessProbe"]["grpc"]["port"], port["containerPort"])
        self.assertIn(f'$(POD_IP):{port["containerPort"]}', words)
        self.assertEqual(leaf["serviceName"], by_name["Service", "likeness-leaf"]["metadata"]["name"])
        service, root = by_name["Service", "likeness-root"]["spec"], by_name["Deployment", "likeness-root"]["spec"]
        self.assertEqual(service["selector"], root["selector"]["matchLabels"])
        configuration = (KUBERNETES / "likeness.toml").read_text()
        self.assertIn('discovery = "nats"', configuration)
        self.assertIn("token_file", configuration)

    def test_the_autoscaler_may_do_what_it_does_and_no_more(self):
        by_kind = {document["kind"]: document for file, document in documents() if file == "scale.yaml"}
        rule, = by_kind["Role"]["rules"]
        self.assertEqual((rule["resources"], sorted(rule["verbs"])), (["deployments/scale"], ["get", "patch"]))
        self.assertEqual(by_kind["RoleBinding"]["roleRef"]["name"], by_kind["Role"]["metadata"]["name"])
        self.assertEqual(by_kind["RoleBinding"]["subjects"][0]["name"], by_kind["ServiceAccount"]["metadata"]["name"])
        pod = by_kind["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        self.assertEqual(pod["serviceAccountName"], by_kind["ServiceAccount"]["metadata"]["name"])
        environment = {variable["name"]: variable.get("value") for variable in pod["containers"][0]["env"]}
        self.assertIn(environment["DEPLOYMENT"], rule["resourceNames"])
        self.assertIn(environment["DEPLOYMENT"], dict(pod_specs()))


class Scripts(unittest.TestCase):
    def test_shell(self):
        for path in [*DEPLOY.rglob("*.sh"), *DEPLOY.rglob("*.sbatch")]:
            with self.subTest(path=path.name):
                subprocess.run(["bash", "-n", path], check=True, timeout=30)
                if shutil.which("shellcheck"):
                    done = subprocess.run(["shellcheck", path], capture_output=True, text=True, timeout=60)
                    self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_array_job_says_what_it_needs(self):
        text = (DEPLOY / "slurm" / "likeness-worker.sbatch").read_text()
        flags = set(re.findall(r"^#SBATCH --([a-z-]+)", text, re.MULTILINE))
        self.assertLessEqual({"array", "cpus-per-task", "mem", "time", "signal", "requeue"}, flags)
        self.assertIn("--signal=B:TERM@", text)
        self.assertLess(text.index("#SBATCH --output"), text.index("set -euo"), "sbatch reads up to the first command")

    def run_array_job(self, worker, signal=None):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "likeness").write_text("#!/usr/bin/env bash\n" + worker)
            (folder / "likeness").chmod(0o755)
            (folder / "cluster.toml").write_text("threads = 1\n")
            (folder / "tmp").mkdir()
            job = subprocess.Popen(["bash", str(DEPLOY / "slurm" / "likeness-worker.sbatch"),
                                    str(folder / "cluster.toml")],
                                   env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}",
                                        "TMPDIR": str(folder / "tmp"), "NOTE": str(folder / "note")})
            if signal is not None:
                while not (folder / "note").exists():
                    self.assertIsNone(job.poll())
                job.send_signal(signal)
            code = job.wait(timeout=30)
            return code, list((folder / "tmp").iterdir())

    def test_the_array_job_passes_on_what_its_worker_says(self):
        self.assertEqual(self.run_array_job('[ -f "$2/likeness.toml" ] && [ "$3" = worker ]\n'), (0, []))
        self.assertEqual(self.run_array_job("exit 3\n"), (3, []))

    def test_the_array_job_gives_its_worker_the_signal_and_waits(self):
        worker = "trap 'sleep 0.3; exit 0' TERM\necho up >\"$NOTE\"\nwhile :; do sleep 0.05; done\n"
        self.assertEqual(self.run_array_job(worker, signal=15), (0, []))


class Autoscaler(unittest.TestCase):
    """scale.sh against a program that plays the queue and a server that plays Kubernetes."""

    def scale(self, queue, replicas, **environment):
        patches = []

        class Api(http.server.BaseHTTPRequestHandler):
            def answer(self, document):
                body = json.dumps(document, indent=2).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def allowed(self):
                expected = "/apis/apps/v1/namespaces/likeness/deployments/likeness-worker/scale"
                return self.path == expected and self.headers["Authorization"] == "Bearer s3cret"

            def scale(self):
                spec = {"replicas": replicas} if replicas else {}  # Kubernetes leaves a zero out
                return {"kind": "Scale", "spec": spec, "status": {"replicas": replicas, "selector": "a=b"}}

            def do_GET(self):
                self.answer(self.scale()) if self.allowed() else self.send_error(403)

            def do_PATCH(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not self.allowed() or self.headers["Content-Type"] != "application/merge-patch+json":
                    return self.send_error(415)
                patches.append(json.loads(body)["spec"]["replicas"])
                return self.answer(self.scale())

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Api) as server, tempfile.TemporaryDirectory() as folder:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            folder = pathlib.Path(folder)
            (folder / "token").write_text("s3cret")
            (folder / "ca.crt").write_text("")
            (folder / "queue.json").write_text("12 chunks wait\n" + json.dumps(queue, separators=(",", ":")) + "\n")
            (folder / "likeness").write_text('#!/bin/sh\necho "$@" >"$0.arguments"\ncat "${0%likeness}queue.json"\n')
            (folder / "likeness").chmod(0o755)
            done = subprocess.run(
                ["bash", str(KUBERNETES / "scale.sh")], capture_output=True, text=True, timeout=60,
                env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "LIKENESS_HOME": str(folder),
                     "NAMESPACE": "likeness", "DEPLOYMENT": "likeness-worker", "ACCOUNT": str(folder),
                     "API_SERVER": f"http://127.0.0.1:{server.server_port}", "no_proxy": "127.0.0.1", **environment})
            server.shutdown()
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertNotIn("s3cret", done.stdout + done.stderr)
            self.assertIn("--within 24h", (folder / "likeness.arguments").read_text())
        return patches

    @staticmethod
    def queue(depth, needed):
        return {"depth": depth, "waiting": depth, "leased": 0, "chunks_per_second": 0.1, "workers_needed": needed,
                "in_flight": [{"chunk": "a", "worker": "depth", "attempt": 1}]}

    def setUp(self):
        if shutil.which("curl") is None:
            self.skipTest("curl is not here")

    def test_as_many_as_are_needed(self):
        self.assertEqual(self.scale(self.queue(100, 7), 2), [7])
        self.assertEqual(self.scale(self.queue(100, 7), 7), [], "nothing to change")
        self.assertEqual(self.scale(self.queue(100, 7), 0), [7], "from none")

    def test_none_when_nothing_waits(self):
        self.assertEqual(self.scale(self.queue(0, 0), 9), [0])
        self.assertEqual(self.scale(self.queue(0, 0), 9, MIN_WORKERS="1"), [1])

    def test_a_few_while_no_speed_is_known(self):
        self.assertEqual(self.scale(self.queue(100, None), 0), [2])
        self.assertEqual(self.scale(self.queue(1, None), 0), [1], "never more than chunks")
        self.assertEqual(self.scale(self.queue(100, None), 5), [], "and nobody is sent home")

    def test_limits(self):
        self.assertEqual(self.scale(self.queue(1000, 400), 3, MAX_WORKERS="50"), [50])
        self.assertEqual(self.scale(self.queue(3, 9), 0), [3])

    def test_wavering_rates_do_not_send_workers_home(self):
        self.assertEqual(self.scale(self.queue(100, 9), 10), [])
        self.assertEqual(self.scale(self.queue(100, 7), 10), [7])


if __name__ == "__main__":
    sandbox.main()
