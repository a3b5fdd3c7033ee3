#include "feature/binarizer.h"

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/random.h"

namespace likeness {
namespace {

size_t RoundUp64(size_t n) { return (n + 63) / 64 * 64; }

// The sums run in sixteen lanes whose order is fixed: the compiler may use vector registers, and the result is the
// same on every machine.
[[gnu::always_inline]] inline float DotBody(const float* a, const float* b, size_t n) {
  float lanes[16] = {};
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (size_t l = 0; l < 16; ++l) lanes[l] += a[i + l] * b[i + l];
  }
  for (; i < n; ++i) lanes[i % 16] += a[i] * b[i];
  for (size_t width = 8; width > 0; width /= 2) {
    for (size_t l = 0; l < width; ++l) lanes[l] += lanes[l + width];
  }
  return lanes[0];
}

[[gnu::always_inline]] inline void RotateBody(std::span<const float> rotation, std::span<const float> y,
                                              std::span<uint64_t> code) {
  for (size_t bit = 0; bit < code.size() * 64; ++bit) {
    const bool set = DotBody(rotation.data() + bit * y.size(), y.data(), y.size()) > 0;
    code[bit / 64] |= static_cast<uint64_t>(set) << (bit % 64);
  }
}

void RotatePlain(std::span<const float> rotation, std::span<const float> y, std::span<uint64_t> code) {
  RotateBody(rotation, y, code);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void RotateAvx2(std::span<const float> rotation, std::span<const float> y,
                                        std::span<uint64_t> code) {
  RotateBody(rotation, y, code);
}
#endif

void Rotate(std::span<const float> rotation, std::span<const float> y, std::span<uint64_t> code) {
#if defined(__x86_64__)
  static const bool avx2 = __builtin_cpu_supports("avx2");
  if (avx2) return RotateAvx2(rotation, y, code);
#endif
  RotatePlain(rotation, y, code);
}

// 1 / length of the vector; 0 for a vector of zeros.
float InverseLength(std::span<const float> vector) {
  double sum = 0;
  for (const float value : vector) sum += static_cast<double>(value) * static_cast<double>(value);
  return sum > 0 ? static_cast<float>(1 / std::sqrt(sum)) : 0;
}

// Seeded normal rows made orthonormal block by block (Gram and Schmidt, in the modified order, twice).
std::vector<float> RandomRotation(size_t bits, size_t dimension, uint64_t seed) {
  Random random(seed);
  std::vector<double> block;  // the rows of the current block, in double precision
  std::vector<float> rotation;
  rotation.reserve(bits * dimension);
  std::vector<double> row(dimension);
  for (size_t bit = 0; bit < bits; ++bit) {
    if (bit % dimension == 0) block.clear();
    double length = 0;
    do {
      for (double& value : row) value = random.Normal();
      for (int pass = 0; pass < 2; ++pass) {
        for (size_t at = 0; at < block.size(); at += dimension) {
          double dot = 0;
          for (size_t i = 0; i < dimension; ++i) dot += row[i] * block[at + i];
          for (size_t i = 0; i < dimension; ++i) row[i] -= dot * block[at + i];
        }
      }
      length = 0;
      for (const double value : row) length += value * value;
      length = std::sqrt(length);
    } while (length < 1e-6);
    for (double& value : row) value /= length;
    block.insert(block.end(), row.begin(), row.end());
    for (const double value : row) rotation.push_back(static_cast<float>(value));
  }
  return rotation;
}

}  // namespace

Binarizer Binarizer::Train(std::span<const float> vectors, size_t dimension, size_t bits, uint64_t seed,
                           Rotation /*method*/) {
  LIKENESS_CHECK(dimension > 0 && vectors.size() % dimension == 0);
  const size_t count = vectors.size() / dimension;
  std::vector<double> sum(dimension);
  for (size_t i = 0; i < count; ++i) {
    const std::span<const float> vector = vectors.subspan(i * dimension, dimension);
    const float scale = InverseLength(vector);
    for (size_t d = 0; d < dimension; ++d) sum[d] += static_cast<double>(vector[d] * scale);
  }
  std::vector<float> mean(dimension);
  for (size_t d = 0; d < dimension && count > 0; ++d) mean[d] = static_cast<float>(sum[d] / static_cast<double>(count));
  return Binarizer(std::move(mean), RandomRotation(RoundUp64(bits == 0 ? dimension : bits), dimension, seed));
}

absl::StatusOr<Binarizer> Binarizer::FromParts(std::vector<float> mean, std::vector<float> rotation) {
  if (mean.empty() || rotation.empty() || rotation.size() % mean.size() != 0 ||
      rotation.size() / mean.size() % 64 != 0) {
    return absl::DataLossError("the binarizer's mean and rotation do not fit each other");
  }
  const auto finite = [](float value) { return std::isfinite(value); };
  if (!std::ranges::all_of(mean, finite) || !std::ranges::all_of(rotation, finite)) {
    return absl::DataLossError("the binarizer holds values that are not finite");
  }
  return Binarizer(std::move(mean), std::move(rotation));
}

DeepCode Binarizer::Encode(std::span<const float> vector) const {
  LIKENESS_CHECK(vector.size() == dimension());
  std::vector<float> y(dimension());
  const float scale = InverseLength(vector);
  float largest = 0;
  for (size_t d = 0; d < y.size(); ++d) {
    y[d] = vector[d] * scale - mean_[d];
    largest = std::max(largest, std::abs(y[d]));
  }
  DeepCode result;
  result.code.resize(bits() / 64);
  Rotate(rotation_, y, result.code);
  result.vector.resize(dimension());
  if (largest > 0) {
    const float to_127 = 127 / largest;
    int64_t squares = 0;
    for (size_t d = 0; d < y.size(); ++d) {
      const long value = std::clamp(std::lrint(y[d] * to_127), -127L, 127L);
      result.vector[d] = static_cast<int8_t>(value);
      squares += value * value;
    }
    result.norm = static_cast<float>(std::sqrt(static_cast<double>(squares)));
  }
  return result;
}

std::string Binarizer::Digest() const {
  return Sha256Hex(AsBytes("mean=" + Sha256Hex(std::as_bytes(mean())) + " rotation=" +
                           Sha256Hex(std::as_bytes(rotation())) + " dimension=" + std::to_string(dimension())));
}

}  // namespace likeness
