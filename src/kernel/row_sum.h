// Weighted sums of rows of pixels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace likeness {

// out[i] = sum over r of weights[r] * first[r * stride + i], the rows being `stride` bytes apart. Every level gives the
// same floats: rows are added four at a time, (a + b) + (c + d), in order, without fused operations. Any thread.
// REQUIRES: every row has out.size() bytes; `out` does not overlap them
void WeightedRowSum(const uint8_t* first, size_t stride, std::span<const float> weights, std::span<float> out);

}  // namespace likeness
