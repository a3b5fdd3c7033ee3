// Decoded pixels.
#pragma once

#include <cstdint>
#include <vector>

namespace likeness {

// Upright sRGB, 8 bits a channel, no alpha (it was laid on white). A decoder may have reduced the picture: `width` x
// `height` is what is here, `full_width` x `full_height` the size of the upright original, in which regions are given.
struct Pixels {
  uint32_t width = 0;
  uint32_t height = 0;
  std::vector<uint8_t> rgb;  // height rows of width interleaved triples, no padding
  uint32_t full_width = 0;
  uint32_t full_height = 0;
};

}  // namespace likeness
