#include "infer/weight_rounding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "base/random.h"

extern "C" void omp_set_num_threads(int threads);  // of OpenMP's runtime; what loops are shared by

namespace likeness {
namespace {

constexpr uint64_t kSeed = 20261122;

bool IsBf16(float value) { return (std::bit_cast<uint32_t>(value) & 0xffff) == 0; }

float Nearest(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
}

std::vector<float> Normal(Random& random, size_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.Normal());
  return values;
}

TEST(WeightRounding, ErrorsOfAKernelCancel) {
  Random random(kSeed);
  const auto weights = Normal(random, 9 * 500), rounded = RoundedKernels(weights, 9);
  double left = 0, plain = 0;
  for (size_t first = 0; first < weights.size(); first += 9) {
    double sum = 0, nearest = 0;
    for (size_t i = first; i < first + 9; ++i) {
      ASSERT_TRUE(IsBf16(rounded[i]));
      ASSERT_NEAR(rounded[i], weights[i], 0.02 * (0.3 + std::abs(weights[i])));
      sum += static_cast<double>(weights[i] - rounded[i]);
      nearest += static_cast<double>(weights[i] - Nearest(weights[i]));
    }
    left += sum * sum, plain += nearest * nearest;
  }
  EXPECT_LT(left, 0.02 * plain);
}

// One kernel after another, as the rule says it.
std::vector<float> PlainRoundedKernels(std::vector<float> weights, size_t taps) {
  for (size_t first = 0; first < weights.size(); first += taps) {
    std::vector<size_t> order(taps);
    std::iota(order.begin(), order.end(), first);
    std::ranges::stable_sort(order, [&](size_t a, size_t b) { return std::abs(weights[a]) > std::abs(weights[b]); });
    float carry = 0;
    for (const size_t i : order) {
      const float wanted = weights[i] + carry;
      weights[i] = Nearest(wanted);
      carry = wanted - weights[i];
    }
  }
  return weights;
}

TEST(WeightRounding, ManyKernelsOnSeveralThreadsAreWhatOneAfterAnotherIs) {
  Random random(kSeed);
  for (const size_t taps : {1, 4, 9, 25, 121}) {
    for (const size_t kernels : {7, 300'000}) {
      auto weights = Normal(random, std::min<size_t>(taps * kernels, 400'000) / taps * taps);
      for (size_t i = 1; i < weights.size(); i += 3) weights[i] = -weights[i - 1];  // of one size
      const auto plain = PlainRoundedKernels(weights, taps);
      for (const int threads : {1, 2, 5}) {
        omp_set_num_threads(threads);
        ASSERT_EQ(RoundedKernels(weights, taps), plain) << taps << " weights a kernel, threads: " << threads;
      }
    }
  }
}

// Inputs that go together: a few common causes, and a little of their own.
TEST(WeightRounding, ErrorsCancelAsFarAsInputsGoTogether) {
  Random random(kSeed);
  for (const size_t depth : {5, 16, 61, 144}) {
    constexpr size_t kCauses = 6, kOutputs = 24;
    const auto causes = Normal(random, depth * kCauses), weights = Normal(random, kOutputs * depth);
    std::vector<float> moments(depth * depth);
    for (size_t i = 0; i < depth; ++i) {
      for (size_t j = 0; j < depth; ++j) {
        moments[i * depth + j] = std::inner_product(&causes[i * kCauses], &causes[(i + 1) * kCauses],
                                                    &causes[j * kCauses], i == j ? 0.05f : 0.f);
      }
    }
    const auto cost = [&](const std::vector<float>& rounded) {
      double all = 0;
      for (size_t o = 0; o < kOutputs; ++o) {
        for (size_t i = 0; i < depth; ++i) {
          for (size_t j = 0; j < depth; ++j) {
            all += static_cast<double>(weights[o * depth + i] - rounded[o * depth + i]) *
                   static_cast<double>(weights[o * depth + j] - rounded[o * depth + j]) *
                   static_cast<double>(moments[i * depth + j]);
          }
        }
      }
      return all;
    };
    // The slow twin: the same numbers, by the book and in f64.
    std::vector<double> left(moments.begin(), moments.end());
    for (size_t k = 0; k < depth; ++k) {
      for (size_t i = k + 1; i < depth; ++i) {
        for (size_t j = i; j < depth; ++j) {
          left[i * depth + j] -= left[k * depth + i] * left[k * depth + j] / left[k * depth + k];
        }
      }
      for (size_t j = depth; j-- > k;) left[k * depth + j] /= left[k * depth + k];
    }
    const auto rounded = RoundedByMoments(weights, kOutputs, moments);
    size_t others = 0;
    for (size_t o = 0; o < kOutputs; ++o) {
      for (size_t i = 0; i < depth; ++i) {
        double wanted = static_cast<double>(weights[o * depth + i]);
        for (size_t j = i + 1; j < depth; ++j) {
          wanted += left[i * depth + j] * static_cast<double>(weights[o * depth + j] - rounded[o * depth + j]);
        }
        ASSERT_TRUE(IsBf16(rounded[o * depth + i]));
        others += Nearest(static_cast<float>(wanted)) == rounded[o * depth + i] ? 0 : 1;
      }
    }
    EXPECT_LE(others, weights.size() / 200) << "numbers that lie between two of bf16 may go either way";
    std::vector<float> nearest(weights.size());
    std::ranges::transform(weights, nearest.begin(), Nearest);
    EXPECT_LT(cost(rounded), (depth > 2 * kCauses ? 0.4 : 1.0) * cost(nearest)) << depth;
  }
}

}  // namespace
}  // namespace likeness
