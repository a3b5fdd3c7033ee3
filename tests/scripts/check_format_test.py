#!/usr/bin/env python3
"""scripts/check-format names a file that is not formatted, and mends it when told to."""
import shutil
import unittest

import sandbox


@unittest.skipUnless(shutil.which("clang-format-14"), "clang-format-14 is not installed")
class CheckFormat(sandbox.Sandbox):
    def setUp(self):
        super().setUp()
        self.write(".clang-format", "BasedOnStyle: Google\n")
        self.write("src/a.cc", "int main() { return 0; }\n")

    def test_a_formatted_tree_passes(self):
        self.assert_clean("check-format")

    def test_a_file_that_is_not_formatted_is_caught_and_mended(self):
        path = self.write("src/b.cc", "int   f( ){return 1;}\n")
        self.assert_caught("check-format", "src/b.cc")
        self.assert_clean("check-format", "--fix")
        self.assertEqual(path.read_text(), "int f() { return 1; }\n")
        self.assert_clean("check-format")


if __name__ == "__main__":
    sandbox.main()
