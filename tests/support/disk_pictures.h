// Pictures that have keypoints, and parts of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/random.h"
#include "image/pixels.h"

namespace likeness {

// Disks of many sizes and colors on gray: a picture with keypoints, another for each seed.
inline Pixels Disks(uint64_t seed) {
  Random random(seed);
  Pixels picture{.width = 400, .height = 300, .rgb = {}, .full_width = 400, .full_height = 300};
  picture.rgb.assign(size_t{3} * 400 * 300, 128);
  for (int i = 0; i < 250; ++i) {
    const auto cx = static_cast<int>(random.Below(400)), cy = static_cast<int>(random.Below(300));
    const auto r = static_cast<int>(3 + random.Below(18));
    const auto color = static_cast<uint32_t>(random());
    for (int y = std::max(0, cy - r); y < std::min(300, cy + r); ++y) {
      for (int x = std::max(0, cx - r); x < std::min(400, cx + r); ++x) {
        if ((x - cx) * (x - cx) + (y - cy) * (y - cy) > r * r) continue;
        for (size_t c = 0; c < 3; ++c) {
          picture.rgb[3 * (static_cast<size_t>(y) * 400 + static_cast<size_t>(x)) + c] =
              static_cast<uint8_t>(color >> (8 * c));
        }
      }
    }
  }
  return picture;
}

// The middle of a picture, three quarters of each side.
inline Pixels Middle(const Pixels& picture) {
  Pixels part{.width = 300, .height = 225, .rgb = {}, .full_width = 300, .full_height = 225};
  for (size_t y = 37; y < 37 + 225; ++y) {
    const auto row = picture.rgb.begin() + static_cast<ptrdiff_t>(3 * (y * 400 + 50));
    part.rgb.insert(part.rgb.end(), row, row + 900);
  }
  return part;
}

}  // namespace likeness
