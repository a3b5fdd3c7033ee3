// Vectors to their two compact forms: a sign code and an int8 copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "types/fingerprint.h"

namespace likeness {

// How the rotation comes about.
enum class Rotation {
  kRandom,   // rows from a seed; independent of the vectors
  kLearned,  // rows that span the principal axes of the vectors, in random directions among themselves
};

// x is normalised to length 1 (zeros stay zeros) and the mean taken off: y. Bit i of the code is (rotation[i] . y > 0);
// the int8 copy is y scaled so that its largest component is 127 or -127. With orthonormal rows the share of bits that
// differ estimates the angle between two y (M. Charikar, "Similarity Estimation Techniques from Rounding Algorithms",
// STOC 2002). Constant after construction; any thread.
class Binarizer {
 public:
  // Trains on `vectors`, n rows of `dimension` floats; n may be 0. The mean is drawn towards zeros while n is small.
  // `bits` is rounded up to a multiple of 64; 0 means the dimension, rounded up the same way. Rows beyond the dimension
  // are further orthonormal blocks. kLearned with fewer vectors than 2 * bits, or bits not below the dimension, is
  // kRandom; kRandom for kHadamardLeast components and more is no matrix but flips (feature/hadamard.h). The same
  // arguments give the same binarizer on every machine. REQUIRES: dimension > 0, vectors.size() % dimension == 0
  static Binarizer Train(std::span<const float> vectors, size_t dimension, size_t bits, uint64_t seed,
                         Rotation method = Rotation::kRandom);

  // From stored parts. Errors: DataLoss when the sizes do not fit, the bits are no multiple of 64, or a value is not
  // finite.
  static absl::StatusOr<Binarizer> FromParts(std::vector<float> mean, std::vector<float> rotation);
  // The same with flips in place of a matrix.
  static absl::StatusOr<Binarizer> FromFlips(std::vector<float> mean, std::vector<uint64_t> flips, uint64_t bits);

  size_t dimension() const { return mean_.size(); }
  size_t bits() const { return bits_; }
  std::span<const float> mean() const { return mean_; }          // [dimension]
  std::span<const float> rotation() const { return rotation_; }  // [bits, dimension], row after row; empty with flips
  std::span<const uint64_t> flips() const { return flips_; }     // of HadamardRotate; empty with a matrix

  // REQUIRES: vector.size() == dimension(); values are finite
  DeepCode Encode(std::span<const float> vector) const;

  // SHA-256 over the parts, in hexadecimal: for the version of what is computed with them.
  std::string Digest() const;

 private:
  Binarizer(std::vector<float> mean, std::vector<float> rotation)
      : mean_(std::move(mean)), rotation_(std::move(rotation)), bits_(rotation_.size() / mean_.size()) {}
  Binarizer(std::vector<float> mean, std::vector<uint64_t> flips, size_t bits)
      : mean_(std::move(mean)), flips_(std::move(flips)), bits_(bits) {}

  std::vector<float> mean_;
  std::vector<float> rotation_;
  std::vector<uint64_t> flips_;
  size_t bits_;
};

}  // namespace likeness
