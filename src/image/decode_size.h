// How large a decoded picture must be kept.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <limits>

namespace likeness {

// The shorter and the longer side in pixels, at least, or as long as the original's where that is shorter. A picture
// that is decoded with a smaller size may come reduced, which is faster and takes less memory.
struct DecodeSize {
  uint32_t shorter = 0;
  uint32_t longer = 0;
  friend auto operator<=>(const DecodeSize&, const DecodeSize&) = default;
};

inline constexpr DecodeSize kFullSize = {std::numeric_limits<uint32_t>::max(), std::numeric_limits<uint32_t>::max()};

// What every feature that can do with it computes from, so that one decode feeds them all and the value of none depends
// on which others are computed beside it.
inline constexpr DecodeSize kStandardSize = {288, 512};

// The standard size where a shorter side of `shorter` pixels is within it, else that side alone.
constexpr DecodeSize StandardSizeFor(uint32_t shorter) {
  return shorter <= kStandardSize.shorter ? kStandardSize : DecodeSize{shorter, 0};
}

// By which whole number a picture of this size may be divided.
constexpr uint32_t ShrinkFor(const DecodeSize& size, uint32_t width, uint32_t height) {
  const uint32_t by_shorter = size.shorter == 0 ? std::min(width, height) : std::min(width, height) / size.shorter;
  const uint32_t by_longer = size.longer == 0 ? std::max(width, height) : std::max(width, height) / size.longer;
  return std::max(1u, std::min(by_shorter, by_longer));
}

}  // namespace likeness
