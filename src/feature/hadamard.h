// Rotations of long vectors in n log n steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace likeness {

// From so many components on, a matrix costs more than it is worth: for 4,096 it has 64 MB, a minute's work to make
// and milliseconds to read for each vector.
inline constexpr size_t kHadamardLeast = 2048;

inline constexpr size_t kHadamardRounds = 3;

// Length of the transform for vectors of `dimension` components: the next power of two, 64 at least.
size_t HadamardLength(size_t dimension);

// Which signs are flipped, seeded and random: for each block of HadamardLength(dimension) rows, whole or begun, a
// bitmap of that length for each round. [blocks, kHadamardRounds, HadamardLength / 64]
std::vector<uint64_t> RandomFlips(size_t rows, size_t dimension, uint64_t seed);

// The rotation that `flips` describes, times `x`, without its factor of HadamardLength ^ (kHadamardRounds / 2): signs
// and ratios are right. In a block, `x` with zeros behind it goes through kHadamardRounds rounds of flipped signs and a
// Walsh-Hadamard transform; three rounds turn any vector as well as a random rotation does (A. Andoni et al.,
// "Practical and Optimal LSH for Angular Distance", NIPS 2015). Additions in a fixed order: the same on every machine.
// REQUIRES: flips.size() is that of out.size() rows for x.size()
void HadamardRotate(std::span<const uint64_t> flips, std::span<const float> x, std::span<float> out);

}  // namespace likeness
