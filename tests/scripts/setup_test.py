#!/usr/bin/env python3
"""scripts/setup installs what is missing and no more, and refuses a download that is not the pinned one.

Runs a copy of the scripts with stand-ins for dpkg-query, apt-get and npm, so nothing is installed or fetched.
"""
import os
import shutil
import subprocess

import sandbox


class Setup(sandbox.Sandbox):
    def setUp(self):
        super().setUp()
        shutil.copytree(sandbox.SCRIPTS, self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        self.write("scripts/packages/build.txt", "cmake  # builds\n\n# a comment\nnpm unless npm\nlibvips-dev\ngone unless no-such-command\n")
        # $INSTALLED is what dpkg knows; apt-get and npm note how they were called.
        self.write("bin/dpkg-query", '#!/bin/sh\nfor p in $INSTALLED; do echo "installed $p"; done\necho "half-configured cmake"\n', 0o755)
        self.write("bin/apt-get", f'#!/bin/sh\necho "$@" >> {self.root}/apt\n', 0o755)
        self.write("bin/sudo", '#!/bin/sh\nexec "$@"\n', 0o755)
        self.write("bin/dpkg", "#!/bin/sh\n", 0o755)
        self.write("bin/npm", "#!/bin/sh\necho bogus > package.tgz\n", 0o755)

    def setup_build(self, installed):
        environment = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}", "INSTALLED": installed}
        return subprocess.run([str(self.root / "scripts/setup"), "--for", "build"], capture_output=True, text=True,
                              env=environment, stdin=subprocess.DEVNULL, timeout=60, check=False)

    def test_only_what_is_missing_is_installed(self):
        done = self.setup_build("libvips-dev")
        self.assertIn("installing 2 Debian packages", done.stderr)
        install = [line for line in (self.root / "apt").read_text().splitlines() if " install " in line]
        self.assertEqual(len(install), 1)
        self.assertRegex(install[0], r"install --no-install-recommends cmake gone$")

    def test_nothing_is_asked_of_apt_when_all_is_there(self):
        self.setup_build("libvips-dev cmake gone")
        self.assertFalse((self.root / "apt").exists())

    def test_another_archive_than_the_pinned_one_is_refused(self):
        done = self.setup_build("libvips-dev cmake gone")
        self.assertEqual(done.returncode, 1)
        self.assertIn("is not the one that was pinned", done.stderr)
        self.assertFalse((self.root / "third_party/onnxruntime").exists())

    def test_an_unknown_purpose_ends_with_2(self):
        done = subprocess.run([str(self.root / "scripts/setup"), "--for", "fun"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--for takes build, run or test", done.stderr)


if __name__ == "__main__":
    sandbox.main()
