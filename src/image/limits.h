// What a picture may be at most.
#pragma once

#include <cstdint>

namespace likeness {

// Checked against the header, before any pixel is decoded. All bounds are inclusive.
struct ImageLimits {
  uint64_t max_pixels = 100'000'000;  // width * height
  uint64_t max_bytes = 64u << 20;     // of the encoded file
  double max_aspect = 30;             // longer side / shorter side
};

}  // namespace likeness
