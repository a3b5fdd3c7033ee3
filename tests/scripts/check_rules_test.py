#!/usr/bin/env python3
"""scripts/check-rules catches a breach of each rule that it holds. Words that it looks for are written in parts here."""
import sandbox

HEADER = "// What it is.\n"


class CheckRules(sandbox.Sandbox):
    def setUp(self):
        super().setUp()
        self.write("scripts/allowed-hosts.txt", "github.com  # publishers\n")
        self.write("src/base/clock.h", HEADER + "class Clock {};\nclass DatabaseRow;\n")
        self.write("src/base/clock.cc", '// It will not throw anything.\nconst char* k = "throw it";\n')
        self.write("README.md", "See https://github.com/example and build/release/bin.\n")

    def test_a_tree_that_keeps_the_rules_passes(self):
        self.assert_clean("check-rules")

    def test_a_file_that_is_too_long(self):
        self.write("src/base/long.cc", "\n" * 800)
        self.assert_clean("check-rules")
        self.write("src/base/long.cc", "\n" * 801)
        self.assert_caught("check-rules", "src/base/long.cc: 801 lines")

    def test_a_file_that_is_too_large(self):
        self.write("tests/data.bin", b"\0" * 2_000_001)
        self.assert_caught("check-rules", "tests/data.bin: 2000001 bytes")

    def test_a_path_of_one_machine(self):
        for folder in ("work", "tmp", "root", "home"):
            self.write("src/base/path.cc", f'auto p = "/{folder}/x";\n')
            self.assert_caught("check-rules", f"a path of one machine, /{folder}/")

    def test_a_forbidden_word_in_a_type_name(self):
        for name in ("IndexManager", "PathUtils", "StoreImpl", "FeatureBase", "ReadHelper"):
            self.write("src/base/name.h", HEADER + f"class {name} {{\n")
            self.assert_caught("check-rules", f"src/base/name.h:2: a name that says nothing, {name}")

    def test_a_file_name_that_says_nothing(self):
        self.write("src/base/string_util.cc", "\n")
        self.assert_caught("check-rules", "src/base/string_util.cc: a name that does not say")

    def test_a_host_that_is_not_allowed(self):
        self.write("docs/x.md", "from ht" "tps://registry.example.net/x\n")
        self.assert_caught("check-rules", "docs/x.md:1: names the host registry.example.net")

    def test_a_lock_file_that_says_where_packages_were_fetched(self):
        address = "ht" "tps://registry.example.net/x"
        self.write("tests/package-lock.json", f'"url": "{address}"\n')
        self.assert_clean("check-rules")
        self.write("tests/package-lock.json", f'"resolved": "{address}"\n')
        self.assert_caught("check-rules", "tests/package-lock.json:1: names the host")

    def test_a_registry_chosen_by_flag(self):
        self.write("scripts/get", "pip install --ind" "ex-url x y\n")
        self.assert_caught("check-rules", "scripts/get:1: chooses a package registry")

    def test_a_throw(self):
        self.write("src/base/clock.cc", "void F() {\n  throw 1;\n}\n")
        self.assert_caught("check-rules", "src/base/clock.cc:2: throws")

    def test_a_header_without_a_comment(self):
        self.write("src/base/bare.h", "#pragma once\n")
        self.assert_caught("check-rules", "src/base/bare.h:1: a header begins with a comment")

    def test_a_mark_of_unfinished_work(self):
        for mark in ("TO" "DO", "FIX" "ME"):
            self.write("web/page.js", f"// {mark}: later\n")
            self.assert_caught("check-rules", f"web/page.js:1: a mark of unfinished work, {mark}")


if __name__ == "__main__":
    sandbox.main()
