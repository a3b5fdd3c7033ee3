#!/usr/bin/env python3
"""scripts/check-docs catches each kind of name in a document that the tree does not have."""
import sandbox

# Stands for a built binary: two subcommands, one of them with subcommands of its own.
LIKENESS = r"""#!/bin/sh
case "$*" in
  --help) printf 'Options:\n  --home DIR\n  --json\nSubcommands:\n  add     Adds\n  model   Models\n' ;;
  'add --help') printf 'Options:\n  --copy\n' ;;
  'model --help') printf 'Subcommands:\n  list   Lists\n' ;;
  'model list --help') printf 'Options:\n  --all\n' ;;
  *) exit 2 ;;
esac
"""


class CheckDocs(sandbox.Sandbox):
    def setUp(self):
        super().setUp()
        self.write("scripts/demo", "#!/bin/sh\n# [--check]\n")
        self.write("src/base/clock.h", "// Time.\n")
        self.write("CMakePresets.json", '{"configurePresets": [{"name": "dev"}]}')
        self.write("docs/a.md", "# A\n")
        self.binary = self.write("build/likeness", LIKENESS, 0o755)
        self.write("README.md", """\
Look at [a](docs/a.md), `src/base/clock.h`, `src/ROOM/x.cc`, `build/dev/bin` and https://example.com/src/none.
Objects are `images/ab/SIGNATURE`. Type `scripts/demo --check` or `likeness --home DIR add FOLDER --copy`, not `--json`.

```sh
cmake --preset dev && likeness model list --all   # all of them
```
""")

    def plant(self, text):
        self.write("docs/planted.md", text + "\n")

    def caught(self, text):
        self.assert_caught("check-docs", text, "--binary", self.binary)

    def test_documents_that_are_true_pass(self):
        self.assert_clean("check-docs", "--binary", self.binary)

    def test_without_a_binary_it_says_what_it_did_not_check(self):
        self.plant("`likeness nonsense`")
        done = self.check("check-docs")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("not checked: flags and subcommands of likeness", done.stdout)

    def test_a_path_in_code(self):
        self.plant("see `src/base/gone.h`")
        self.caught("docs/planted.md:1: names src/base/gone.h")

    def test_a_path_with_a_placeholder_in_a_folder_that_does_not_exist(self):
        self.plant("see `src/gone/NAME.cc`")
        self.caught("names src/gone/NAME.cc")

    def test_a_link(self):
        self.plant("[b](b.md)")
        self.caught("docs/planted.md:1: links to b.md")

    def test_a_script(self):
        self.plant("```\nscripts/gone\n```")
        self.caught("docs/planted.md:2: names scripts/gone")

    def test_a_flag_of_a_script(self):
        self.plant("`scripts/demo --fast`")
        self.caught("scripts/demo does not know --fast")

    def test_a_flag_of_a_benchmark(self):
        self.write("scripts/bench", "#!/bin/sh\n# [--quick]\n")
        self.write("bench/hash.cc", "// bench_hash [--whole]\n")
        self.plant("`scripts/bench hash --whole`, `scripts/bench hash --quick`")
        self.assert_clean("check-docs", "--binary", self.binary)
        self.plant("`scripts/bench hash --gone`")
        self.caught("scripts/bench does not know --gone")

    def test_a_flag_of_a_subcommand(self):
        self.plant("```sh\nbuild/release/bin/likeness add FOLDER --all\n```")
        self.caught("docs/planted.md:2: likeness add does not know --all")

    def test_a_subcommand(self):
        self.plant("`likeness train`")
        self.caught("likeness has no subcommand train")

    def test_a_lone_flag(self):
        self.plant("with `--gone`")
        self.caught("no command of ours knows --gone")

    def test_a_preset(self):
        self.plant("`cmake --preset nightly`")
        self.caught("there is no CMake preset nightly")

    def test_the_text_of_the_page(self):
        self.write("web/index.html", "<p>Run <code>scripts/gone</code></p>\n")
        self.caught("web/index.html:1: names scripts/gone")


if __name__ == "__main__":
    sandbox.main()
