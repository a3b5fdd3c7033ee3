#!/usr/bin/env python3
"""scripts/check-layers catches each way of breaking the order of the rooms."""
import sandbox


class CheckLayers(sandbox.Sandbox):
    def setUp(self):
        super().setUp()
        self.write("src/layers.txt", "# room: sees\nbase:\ntypes: base\nimage: base\n")
        self.write("src/base/clock.h", "// Time.\n")
        self.write("src/types/pin.h", '// A pin.\n#include "base/clock.h"\n#include "absl/status/status.h"\n')

    def test_a_tree_in_order_passes(self):
        self.assert_clean("check-layers")

    def test_an_include_that_layers_txt_does_not_allow(self):
        self.write("src/image/decode.cc", '#include "types/pin.h"\n')
        self.assert_caught("check-layers", "src/image/decode.cc:1: image includes types/pin.h")

    def test_an_include_upward(self):
        self.write("src/base/clock.h", '// Time.\n#  include "types/pin.h"\n')
        self.assert_caught("check-layers", "src/base/clock.h:2: base includes types/pin.h")

    def test_a_layer_that_names_a_room_below_it(self):
        self.write("src/layers.txt", "base: types\ntypes: base\n")
        self.assert_caught("check-layers", "src/layers.txt:1: base sees types, which is not declared above it")

    def test_a_room_that_is_not_declared(self):
        self.write("src/attic/old.cc", "\n")
        self.assert_caught("check-layers", "the room attic is not in src/layers.txt")

    def test_an_include_relative_to_its_own_folder(self):
        self.write("src/types/pin.cc", '#include "pin.h"\n')
        self.assert_caught("check-layers", 'it would be #include "types/pin.h"')

    def test_a_room_declared_twice(self):
        self.write("src/layers.txt", "base:\nbase:\ntypes: base\nimage: base\n")
        self.assert_caught("check-layers", "src/layers.txt:2: base is declared twice")


if __name__ == "__main__":
    sandbox.main()
