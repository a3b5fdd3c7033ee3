// Inner products of int8 and float vectors, and a matrix times a vector.
//
// Every level gives the same bits. For floats that fixes the order of summation: element i is accumulated by fused
// multiply-add into lane i % 64, and lanes are then added in halves (lane j += lane j + 32, 16, 8, 4, 2, 1).
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace likeness {

inline constexpr size_t kMaxInt8Dimension = 131071;  // beyond it a sum could leave int32_t

// Exact for all values, -128 included. REQUIRES: a.size() == b.size() <= kMaxInt8Dimension
int32_t DotInt8(std::span<const int8_t> a, std::span<const int8_t> b);

// REQUIRES: a.size() == b.size()
float DotFloat(std::span<const float> a, std::span<const float> b);

inline int32_t SquaredNormInt8(std::span<const int8_t> a) { return DotInt8(a, a); }
inline float SquaredNormFloat(std::span<const float> a) { return DotFloat(a, a); }

// out[r] = DotFloat(row r of `matrix`, x), `matrix` stored row after row.
// REQUIRES: matrix.size() == out.size() * x.size(); `out` overlaps neither
void MatVec(std::span<const float> matrix, std::span<const float> x, std::span<float> out);

}  // namespace likeness
