#include "feature/hadamard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <numbers>

#include "base/random.h"
#include "feature/binarizer.h"
#include "feature/rotation.h"

namespace likeness {
namespace {

std::vector<float> NormalValues(size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.Normal());
  return values;
}

// As written in the book: entry (i, j) of the matrix is 1 where i & j has an even number of ones, else -1.
std::vector<double> SlowRotate(std::span<const uint64_t> flips, std::span<const float> x, size_t rows) {
  const size_t n = HadamardLength(x.size());
  std::vector<double> out;
  for (size_t block = 0; out.size() < rows; ++block) {
    std::vector<double> values(n);
    std::ranges::copy(x, values.begin());
    for (size_t round = 0; round < kHadamardRounds; ++round) {
      const auto bits = flips.subspan((block * kHadamardRounds + round) * (n / 64), n / 64);
      std::vector<double> turned(n);
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) {
          const bool minus = ((bits[j / 64] >> (j % 64) & 1) != 0) != (std::popcount(i & j) % 2 != 0);
          turned[i] += minus ? -values[j] : values[j];
        }
      }
      values = turned;
    }
    out.insert(out.end(), values.begin(), values.begin() + static_cast<std::ptrdiff_t>(std::min(n, rows - out.size())));
  }
  return out;
}

TEST(Hadamard, IsTheProductWrittenOut) {
  for (const auto& [dimension, rows] :
       {std::pair<size_t, size_t>{1, 64}, {40, 64}, {64, 128}, {100, 64}, {128, 320}, {1000, 1024}}) {
    const auto flips = RandomFlips(rows, dimension, 5);
    const auto x = NormalValues(dimension, 6);
    std::vector<float> fast(rows);
    HadamardRotate(flips, x, fast);
    const std::vector<double> slow = SlowRotate(flips, x, rows);
    const double scale = std::pow(static_cast<double>(HadamardLength(dimension)), 1.5);
    for (size_t i = 0; i < rows; ++i) ASSERT_NEAR(fast[i] / scale, slow[i] / scale, 1e-5) << dimension << " " << i;
  }
}

TEST(Hadamard, KeepsLengthsAndAngles) {
  constexpr size_t kDimension = 4096;
  const auto flips = RandomFlips(kDimension, kDimension, 1);
  const auto x = NormalValues(kDimension, 2), y = NormalValues(kDimension, 3);
  std::vector<float> rx(kDimension), ry(kDimension);
  HadamardRotate(flips, x, rx);
  HadamardRotate(flips, y, ry);
  double xx = 0, xy = 0, rotated_xx = 0, rotated_xy = 0;
  for (size_t i = 0; i < kDimension; ++i) {
    xx += double{x[i]} * x[i];
    xy += double{x[i]} * y[i];
    rotated_xx += double{rx[i]} * rx[i];
    rotated_xy += double{rx[i]} * ry[i];
  }
  const double scale = std::pow(double{kDimension}, 3);
  EXPECT_NEAR(rotated_xx / scale / xx, 1, 1e-4);
  EXPECT_NEAR(rotated_xy / scale / xx, xy / xx, 1e-4);
}

// How far the share of different bits is from the angle, for pairs of vectors most of whose components are 0, which a
// single transform would turn badly.
template <typename Rotate>
double ErrorOfAngles(size_t dimension, size_t bits, const Rotate& rotate) {
  Random random(11);
  double squares = 0;
  constexpr int kPairs = 200;
  for (int pair = 0; pair < kPairs; ++pair) {
    std::vector<float> a(dimension), b(dimension);
    for (int i = 0; i < 4; ++i) {
      const size_t at = random.Below(dimension);
      a[at] = static_cast<float>(random.Normal());
      b[at] = a[at] + static_cast<float>(random.Normal());
      b[random.Below(dimension)] += 0.5f;
    }
    double aa = 0, bb = 0, ab = 0;
    for (size_t i = 0; i < dimension; ++i) {
      aa += double{a[i]} * a[i];
      bb += double{b[i]} * b[i];
      ab += double{a[i]} * b[i];
    }
    const std::vector<float> ra = rotate(a), rb = rotate(b);
    int differ = 0;
    for (size_t i = 0; i < bits; ++i) differ += (ra[i] > 0) != (rb[i] > 0) ? 1 : 0;
    const double angle = std::acos(std::clamp(ab / std::sqrt(aa * bb), -1.0, 1.0)) / std::numbers::pi;
    squares += std::pow(static_cast<double>(differ) / static_cast<double>(bits) - angle, 2);
  }
  return std::sqrt(squares / kPairs);
}

TEST(Hadamard, TurnsSparseVectorsAsWellAsAMatrixDoes) {
  constexpr size_t kDimension = 2048, kBits = 256;
  const auto flips = RandomFlips(kBits, kDimension, 3);
  const auto matrix = RandomRotation(kBits, kDimension, 3);
  const double fast = ErrorOfAngles(kDimension, kBits, [&](const std::vector<float>& x) {
    std::vector<float> out(kBits);
    HadamardRotate(flips, x, out);
    return out;
  });
  const double slow = ErrorOfAngles(kDimension, kBits, [&](const std::vector<float>& x) {
    std::vector<float> out(kBits);
    for (size_t i = 0; i < kBits; ++i) {
      for (size_t d = 0; d < kDimension; ++d) out[i] += matrix[i * kDimension + d] * x[d];
    }
    return out;
  });
  EXPECT_LT(fast, 1.15 * slow) << slow;
}

TEST(Hadamard, ALongVectorsBinarizerIsMadeAtOnceAndOfItsParts) {
  constexpr size_t kDimension = 4096;
  const auto vectors = NormalValues(3 * kDimension, 8);
  const Binarizer one = Binarizer::Train(vectors, kDimension, 0, 9);
  EXPECT_EQ(one.bits(), kDimension);
  EXPECT_TRUE(one.rotation().empty());
  EXPECT_EQ(Binarizer::Train(vectors, kDimension, 0, 9).Digest(), one.Digest());
  EXPECT_NE(Binarizer::Train(vectors, kDimension, 0, 10).Digest(), one.Digest());
  EXPECT_NE(Binarizer::Train(vectors, kDimension, 1024, 9).Digest(), one.Digest());
  const std::vector<float> mean(one.mean().begin(), one.mean().end());
  const std::vector<uint64_t> flips(one.flips().begin(), one.flips().end());
  const auto again = Binarizer::FromFlips(mean, flips, kDimension);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->Digest(), one.Digest());
  const auto x = std::span(vectors).first(kDimension);
  EXPECT_EQ(again->Encode(x).code, one.Encode(x).code);
  EXPECT_EQ(one.Encode(std::vector<float>(kDimension)).code.size(), kDimension / 64);
  for (const uint64_t bits : {uint64_t{0}, uint64_t{kDimension - 1}, uint64_t{kDimension + 64}, uint64_t{1} << 60}) {
    EXPECT_EQ(Binarizer::FromFlips(mean, flips, bits).status().code(), absl::StatusCode::kDataLoss) << bits;
  }
  EXPECT_EQ(Binarizer::FromFlips({}, flips, kDimension).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace likeness
