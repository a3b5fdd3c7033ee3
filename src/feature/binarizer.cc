#include "feature/binarizer.h"

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "feature/hadamard.h"
#include "feature/rotation.h"
#include "kernel/dot.h"

namespace likeness {
namespace {

// So many vectors of zeros are averaged in: the mean of a few pictures says more of them than of what is to come, and
// without it a collection of one picture would take all of it off.
constexpr size_t kMeanPrior = 64;

constexpr uint64_t kMostFlippedBits = uint64_t{1} << 20;

size_t RoundUp64(size_t n) { return (n + 63) / 64 * 64; }

// 1 / length of the vector; 0 for a vector of zeros.
float InverseLength(std::span<const float> vector) {
  double sum = 0;
  for (const float value : vector) sum += static_cast<double>(value) * static_cast<double>(value);
  return sum > 0 ? static_cast<float>(1 / std::sqrt(sum)) : 0;
}

}  // namespace

Binarizer Binarizer::Train(std::span<const float> vectors, size_t dimension, size_t bits, uint64_t seed,
                           Rotation method) {
  LIKENESS_CHECK(dimension > 0 && vectors.size() % dimension == 0);
  bits = RoundUp64(bits == 0 ? dimension : bits);
  const size_t count = vectors.size() / dimension;
  const bool random = method == Rotation::kRandom || bits >= dimension || count < 2 * bits;
  std::vector<double> sum(dimension);
  std::vector<float> centered(random ? 0 : vectors.size());
  for (size_t i = 0; i < count; ++i) {
    const float scale = InverseLength(vectors.subspan(i * dimension, dimension));
    for (size_t d = 0; d < dimension; ++d) {
      const float value = vectors[i * dimension + d] * scale;
      sum[d] += static_cast<double>(value);
      if (!random) centered[i * dimension + d] = value;
    }
  }
  std::vector<float> mean(dimension);
  for (size_t d = 0; d < dimension; ++d) mean[d] = static_cast<float>(sum[d] / static_cast<double>(count + kMeanPrior));
  if (random && dimension >= kHadamardLeast) {
    return Binarizer(std::move(mean), RandomFlips(bits, dimension, seed), bits);
  }
  if (random) return Binarizer(std::move(mean), RandomRotation(bits, dimension, seed));
  for (size_t i = 0; i < centered.size(); ++i) centered[i] -= mean[i % dimension];
  return Binarizer(std::move(mean), PrincipalRotation(centered, bits, dimension, seed));
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

absl::StatusOr<Binarizer> Binarizer::FromFlips(std::vector<float> mean, std::vector<uint64_t> flips, uint64_t bits) {
  const size_t n = HadamardLength(mean.size());
  if (mean.empty() || bits == 0 || bits % 64 != 0 || bits > kMostFlippedBits ||
      flips.size() != (bits + n - 1) / n * kHadamardRounds * (n / 64)) {
    return absl::DataLossError("the binarizer's mean and flips do not fit each other");
  }
  if (!std::ranges::all_of(mean, [](float value) { return std::isfinite(value); })) {
    return absl::DataLossError("the binarizer holds values that are not finite");
  }
  return Binarizer(std::move(mean), std::move(flips), bits);
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
  std::vector<float> rotated(bits());
  if (flips_.empty()) {
    MatVec(rotation_, y, rotated);
  } else {
    HadamardRotate(flips_, y, rotated);
  }
  for (size_t bit = 0; bit < rotated.size(); ++bit) {
    result.code[bit / 64] |= static_cast<uint64_t>(rotated[bit] > 0) << (bit % 64);
  }
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
  const std::string turned = flips_.empty()
                                 ? " rotation=" + Sha256Hex(std::as_bytes(rotation()))
                                 : " flips=" + Sha256Hex(std::as_bytes(flips())) + " bits=" + std::to_string(bits());
  return Sha256Hex(
      AsBytes("mean=" + Sha256Hex(std::as_bytes(mean())) + turned + " dimension=" + std::to_string(dimension())));
}

}  // namespace likeness
