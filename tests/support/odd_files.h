// Pictures for tests that are broken, hostile or odd, made from a seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace likeness {

struct OddFile {
  std::string name;  // unique in the list, tells what is odd; the extension may lie
  std::string bytes;
  bool expect_ok = false;  // whether it decodes under the default ImageLimits
};

// `count` files, the same for a seed, no two with the same bytes: truncated at every kind of place, damaged, wrong
// extensions, bombs, odd color spaces and depths, empty. About a third decode.
std::vector<OddFile> MakeOddFiles(uint64_t seed, size_t count);

// A JPEG of smooth random content, different for every seed.
std::string MakeJpeg(uint64_t seed, uint32_t width, uint32_t height);

}  // namespace likeness
