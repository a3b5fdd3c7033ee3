// Rotations for the binarizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace likeness {

// `rows` seeded random rows, orthonormal in blocks of `dimension` rows. [rows, dimension]
std::vector<float> RandomRotation(size_t rows, size_t dimension, uint64_t seed);

// `rows` orthonormal rows that span the principal axes of `centered` (vectors about 0, row after row), in random
// directions among themselves, so that the variance is spread over all bits. Looks at 4,096 vectors at most.
// REQUIRES: rows < dimension, centered.size() / dimension > rows
std::vector<float> PrincipalRotation(std::span<const float> centered, size_t rows, size_t dimension, uint64_t seed);

}  // namespace likeness
