// Our own loops through AMX tiles against their slow twins, and bytes against the floats they stand for.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/random.h"
#include "infer/byte_dense.h"
#include "infer/onednn_model.h"
#include "infer/page_bytes.h"
#include "infer/tile_convolution.h"

extern "C" void omp_set_num_threads(int threads);  // of OpenMP's runtime; what loops are shared by

namespace likeness {
namespace {

constexpr uint64_t kSeed = 20261124;
const Activation kRelu{.kind = Activation::Kind::kRelu};

std::vector<uint16_t> Narrow(Random& random, size_t n) {
  std::vector<uint16_t> values(n);
  for (uint16_t& value : values) {
    value = static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(random.Normal())) >> 16);
  }
  return values;
}

float Widened(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

TEST(TileConvolution, EqualsItsSlowTwin) {
  if (!HasFastBf16()) GTEST_SKIP() << "this processor has no AMX with bf16, or LIKENESS_CPU forbids it";
  Random random(kSeed);
  int pooled = 0, patches = 0;
  for (int round = 0; round < 40; ++round) {
    TileConvolutionShape s{.images = 1 + random.Below(3),
                           .channels = 32 * (1 + random.Below(3)),
                           .height = 1 + random.Below(24),
                           .width = 1 + random.Below(40),
                           .outputs = 32 * (1 + random.Below(3)),
                           .kernel_height = 1 + random.Below(3),
                           .kernel_width = 1 + random.Below(5),
                           .stride_height = 1 + random.Below(2),
                           .stride_width = 1 + random.Below(2),
                           .bf16 = round % 3 != 0};
    if (round % 20 == 9) s.channels = 1024, s.width = 100, s.outputs = 32;  // several bands
    if (round % 5 == 3) {                                                   // a first layer
      s.channels = 1 + random.Below(32 / (s.kernel_height * s.kernel_width));
      if (round % 20 == 3) s.width = 400, s.height = 60, s.outputs = 32, s.images = 1;
    }
    s.top = random.Below(s.kernel_height), s.left = random.Below(s.kernel_width);
    if (s.height + 2 * s.top < s.kernel_height || s.width + 2 * s.left < s.kernel_width) continue;
    s.out_height = (s.height + 2 * s.top - s.kernel_height) / s.stride_height + 1;
    s.out_width = (s.width + 2 * s.left - s.kernel_width) / s.stride_width + 1;
    if (round % 2 == 0) s.activation = kRelu;
    s.pool = s.out_height % 2 == 0 && s.out_width % 2 == 0;
    pooled += s.pool ? 1 : 0, patches += s.patches() ? 1 : 0;
    const size_t inputs = s.images * s.height * s.width * s.channels;
    const auto narrow = Narrow(random, inputs);
    std::vector<float> wide(s.patches() ? inputs : 0), weights(s.weights());
    for (float& value : wide) value = static_cast<float>(random.Normal());
    if (s.patches()) {
      for (float& weight : weights) weight = static_cast<float>(random.Normal());
    } else {
      std::ranges::transform(Narrow(random, weights.size()), weights.begin(), Widened);
    }
    const void* const from = s.patches() ? static_cast<const void*>(wide.data()) : narrow.data();
    std::vector<float> bias(s.outputs);
    for (float& value : bias) value = static_cast<float>(random.Normal());
    const size_t size = s.images * s.out_height * s.out_width * s.outputs / (s.pool ? 4 : 1);
    std::vector<float> fast(size), slow(size);
    std::vector<uint16_t> tiles(s.tile_weights());
    TileWeights(s, weights, tiles.data());
    const Bytes scratch = NewBytes(s.scratch());
    const auto around = Narrow(random, s.channels);
    std::vector<float> least(s.outputs);
    for (float& value : least) value = static_cast<float>(random.Normal());
    const TileValues values{.bias = round % 4 == 0 ? nullptr : bias.data(),
                            .least = round % 3 == 1 ? least.data() : nullptr,
                            .around = round % 3 == 2 && !s.patches() ? around.data() : nullptr};
    TileConvolution(s, from, tiles.data(), values, scratch.get(), fast.data());
    TileConvolutionPlain(s, from, weights, values, slow.data());
    for (const size_t threads : {2, 3}) {
      TileConvolutionShape several = s;
      several.threads = threads;
      const Bytes more = NewBytes(several.scratch());
      std::vector<float> shared(size);
      TileConvolution(several, from, tiles.data(), values, more.get(), shared.data());
      ASSERT_EQ(std::memcmp(shared.data(), fast.data(), size * sizeof(float)), 0)
          << "round " << round << " with " << threads << " threads";
    }
    const double size_of_sums = std::sqrt(static_cast<double>(s.channels * s.kernel_height * s.kernel_width));
    for (size_t i = 0; i < size; ++i) {
      const float a = s.bf16 ? Widened(reinterpret_cast<const uint16_t*>(fast.data())[i]) : fast[i];
      const float b = s.bf16 ? Widened(reinterpret_cast<const uint16_t*>(slow.data())[i]) : slow[i];
      ASSERT_NEAR(a, b, (s.bf16 ? 0.01 * std::abs(b) : 0) + 1e-4 * size_of_sums) << "round " << round << " at " << i;
    }
  }
  EXPECT_GT(pooled, 3);
  EXPECT_GT(patches, 3);
}

TEST(ByteDense, EqualsItsSlowTwinAndComesCloseToFloats) {
  Random random(kSeed);
  for (const size_t vectors : {1, 2, 3, 4, 8}) {
    for (const size_t inputs : {128, 384, 2048}) {
      ByteDenseShape s{.vectors = vectors, .inputs = inputs, .outputs = 48, .activation = kRelu};
      if (vectors == 3) s.activation = {};
      std::vector<float> weights(s.inputs * s.outputs), bias(s.outputs);
      for (float& weight : weights) weight = static_cast<float>(random.Normal());
      weights[5] = 20;  // coarsens its run, and no other
      for (float& value : bias) value = static_cast<float>(random.Normal());
      std::fill_n(weights.begin() + 130, 100, 0.f);
      const ByteMatrix matrix(s.inputs, s.outputs,
                              [&](size_t o, float* to) { std::copy_n(&weights[o * s.inputs], s.inputs, to); });
      auto from = Narrow(random, s.vectors * s.inputs);
      if (vectors == 4) std::fill_n(from.begin(), s.inputs, 0);  // a vector of zeros
      std::vector<float> fast(vectors * s.outputs), slow(vectors * s.outputs);
      const Bytes scratch = NewBytes(s.scratch());
      ByteDensePlain(s, from.data(), matrix, bias.data(), slow.data());
      double worst = 0, error = 0, all = 0;
      for (size_t i = 0; i < slow.size(); ++i) {
        double sum = bias[i % s.outputs];
        for (size_t k = 0; k < s.inputs; ++k) {
          sum +=
              static_cast<double>(weights[i % s.outputs * s.inputs + k]) * Widened(from[i / s.outputs * s.inputs + k]);
        }
        sum = s.activation(static_cast<float>(sum));
        error += (sum - slow[i]) * (sum - slow[i]), all += sum * sum;
      }
      EXPECT_LT(std::sqrt(error / all), 0.02);
      if (!HasFastBf16()) continue;
      ByteDense(s, from.data(), matrix, bias.data(), scratch.get(), fast.data());
      std::vector<float> shared(fast.size());
      ByteDenseShape several = s;
      several.threads = 2;
      ByteDense(several, from.data(), matrix, bias.data(), scratch.get(), shared.data());
      EXPECT_EQ(shared, fast);
      for (size_t i = 0; i < slow.size(); ++i) worst = std::max(worst, std::abs(double{slow[i]} - fast[i]));
      EXPECT_LT(worst, 1e-5 * static_cast<double>(s.inputs)) << vectors << " vectors of " << inputs;
    }
  }
}

TEST(ByteMatrix, IsTheSameOnAnyNumberOfThreadsAndWhatTheRuleSays) {
  Random random(kSeed);
  constexpr size_t kInputs = 640, kOutputs = 80, kRun = ByteDenseShape::kRun;
  std::vector<float> weights(kInputs * kOutputs);
  for (float& weight : weights) weight = static_cast<float>(random.Normal());
  for (size_t i = 0; i < kRun; ++i) weights[3 * kRun + i] = 0;                       // a run of zeros
  for (size_t i = 0; i < kRun; ++i) weights[7 * kRun + i] = i == 5 ? 127 : i / 2.f;  // halves go to the even number
  std::string first;
  for (const int threads : {1, 2, 3, 7}) {
    omp_set_num_threads(threads);
    const ByteMatrix matrix(kInputs, kOutputs,
                            [&](size_t o, float* to) { std::copy_n(&weights[o * kInputs], kInputs, to); });
    for (size_t o = 0; o < kOutputs; ++o) {
      for (size_t i = 0; i < kInputs; ++i) {
        const float* const run = &weights[o * kInputs + i / kRun * kRun];
        float most = 0;
        for (size_t k = 0; k < kRun; ++k) most = std::max(most, std::abs(run[k]));
        const float inverse = most > 0 ? 127 / most : 0;
        ASSERT_EQ(matrix.At(o, i), most / 127 * std::nearbyint(run[i % kRun] * inverse)) << o << ", " << i;
      }
    }
    const std::string bytes(reinterpret_cast<const char*>(matrix.data()), kInputs * kOutputs * (kRun + 4) / kRun);
    if (first.empty()) first = bytes;
    EXPECT_EQ(bytes, first) << threads << " threads";
  }
}

TEST(ByteDense, WhatIsNotFiniteStaysSo) {
  ByteDenseShape s{.vectors = 2, .inputs = 128, .outputs = 16};
  const ByteMatrix matrix(128, 16, [](size_t, float* to) { std::fill_n(to, 128, 1.f); });
  std::vector<uint16_t> from(256, 0x3f80);
  from[3] = 0x7f80;  // infinity
  std::vector<float> to(32);
  const Bytes scratch = NewBytes(s.scratch());
  if (HasFastBf16()) {
    ByteDense(s, from.data(), matrix, nullptr, scratch.get(), to.data());
  } else {
    ByteDensePlain(s, from.data(), matrix, nullptr, to.data());
  }
  EXPECT_TRUE(std::isnan(to[0]));
  EXPECT_NEAR(to[16], 128, 1e-3);
}

}  // namespace
}  // namespace likeness
