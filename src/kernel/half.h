// IEEE 754 binary16 ("half") to and from float. A half is held as its 16 bits. Any thread.
#pragma once

#include <cstdint>
#include <span>

namespace likeness {

// Exact. A signalling NaN becomes the quiet one with the same sign and payload.
// REQUIRES: in.size() == out.size(); they do not overlap
void HalfToFloat(std::span<const uint16_t> in, std::span<float> out);

// Rounds to nearest, ties to even; beyond 65519 becomes infinity, denormal halves are kept. A NaN stays a quiet NaN
// with the upper bits of its payload. REQUIRES: in.size() == out.size(); they do not overlap
void FloatToHalf(std::span<const float> in, std::span<uint16_t> out);

}  // namespace likeness
