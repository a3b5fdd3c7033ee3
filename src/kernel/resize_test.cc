// Resizing in whole numbers: every level of the processor gives the same, and what the definition gives.
#include "kernel/resize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"
#include "kernel/cpu.h"

namespace likeness {
namespace {

constexpr uint64_t kSeed = 43;

std::vector<double> RandomWeights(Random& random, size_t count) {
  std::vector<double> weights(count);
  double sum = 0;
  for (double& weight : weights) sum += weight = random.Unit() + 0.05;
  for (double& weight : weights) weight /= sum;
  if (count > 4) weights[0] -= 0.1, weights[count / 2] += 0.1;
  return weights;
}

TEST(ResizeTaps, RoundedWeightsAddUpToOne) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  Random random(kSeed);
  for (const size_t count : {1, 2, 7, 8, 9, 100, 30000}) {
    ResizeTaps taps;
    const std::vector<double> weights = RandomWeights(random, count);
    taps.Add(3, weights);
    int sum = 0;
    for (size_t i = 0; i < count; ++i) {
      const int weight = taps.weights(taps.spans()[0])[i];
      sum += weight;
      EXPECT_NEAR(weight, weights[i] * kTapOne, 1.001);
    }
    EXPECT_EQ(sum, kTapOne);
  }
}

TEST(SumDown, EqualsTheDefinitionAtEveryLevel) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  Random random(kSeed);
  for (const size_t rows : {1, 2, 5, 8, 31}) {
    for (const size_t size : {1, 16, 31, 32, 200}) {
      const size_t stride = size + 3;
      std::vector<uint8_t> bytes((rows - 1) * stride + size);
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Below(256));
      ResizeTaps taps;
      const std::vector<double> weights = RandomWeights(random, rows);
      taps.Add(0, weights);
      for (const CpuLevel level : AvailableCpuLevels()) {
        const ForceCpuLevelForTest force(level);
        std::vector<int16_t> out(size);
        SumDown(bytes.data(), stride, taps.weights(taps.spans()[0]), out);
        for (size_t i = 0; i < size; ++i) {
          int sum = 128;
          double exact = 0;
          for (size_t r = 0; r < rows; ++r) {
            sum += taps.weights(taps.spans()[0])[r] * bytes[r * stride + i];
            exact += weights[r] * bytes[r * stride + i];
          }
          ASSERT_EQ(out[i], sum >> 8) << CpuLevelName(level) << " " << rows << " " << size;
          ASSERT_NEAR(out[i] / 64.0, exact, 0.15);
        }
      }
    }
  }
}

TEST(SumAlong, EqualsTheDefinitionAtEveryLevel) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  Random random(kSeed + 1);
  for (const size_t count : {1, 3, 4, 7, 8, 9, 17}) {
    constexpr size_t kTriples = 90;
    constexpr uint32_t kBegin = 5;
    std::vector<int16_t> row(kTriples * 3 + kSumPadding);
    for (int16_t& sum : row) sum = static_cast<int16_t>(static_cast<int>(random.Below(21000)) - 3000);
    ResizeTaps taps;
    for (size_t i = 0; i < 40; ++i) {
      taps.Add(static_cast<uint32_t>(kBegin + random.Below(kTriples - count + 1)), RandomWeights(random, count));
    }
    for (const CpuLevel level : AvailableCpuLevels()) {
      const ForceCpuLevelForTest force(level);
      std::vector<uint8_t> out(40 * 3 + 1);
      SumAlong(row.data(), kBegin, taps, out.data());
      for (size_t i = 0; i < 40; ++i) {
        const ResizeTaps::Span& span = taps.spans()[i];
        for (size_t c = 0; c < 3; ++c) {
          int sum = 1 << 19;
          for (size_t t = 0; t < count; ++t) sum += taps.weights(span)[t] * row[(span.first - kBegin + t) * 3 + c];
          ASSERT_EQ(out[i * 3 + c], std::clamp(sum >> 20, 0, 255)) << CpuLevelName(level) << " " << count;
        }
      }
    }
  }
}

TEST(NormaliseTriples, EqualsTheDefinitionAtEveryLevel) {
  Random random(kSeed + 2);
  for (const size_t count : {1, 15, 16, 70}) {
    std::vector<uint8_t> triples(count * 3);
    for (uint8_t& byte : triples) byte = static_cast<uint8_t>(random.Below(256));
    for (const size_t plane : {size_t{0}, count, count + 9}) {
      for (const bool reversed : {false, true}) {
        const NormaliseOptions options{{123.675f, 116.28f, 103.53f}, {0.0171f, 0.0175f, 0.0174f}, reversed};
        for (const CpuLevel level : AvailableCpuLevels()) {
          const ForceCpuLevelForTest force(level);
          std::vector<float> out(3 * (count + 9), -7.0f);
          NormaliseTriples(triples.data(), count, options, plane, out.data());
          for (size_t i = 0; i < count; ++i) {
            for (size_t c = 0; c < 3; ++c) {
              const float wanted =
                  (static_cast<float>(triples[i * 3 + (reversed ? 2 - c : c)]) - options.mean[c]) * options.scale[c];
              ASSERT_EQ(out[plane > 0 ? c * plane + i : i * 3 + c], wanted) << CpuLevelName(level) << " " << count;
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace likeness
