// Our own Winograd convolution against its slow twin.
#include "infer/winograd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"
#include "infer/page_bytes.h"

namespace likeness {
namespace {

constexpr uint64_t kSeed = 20261122;

bool HasAvx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

struct Floats {
  explicit Floats(size_t count) : bytes(NewBytes(count * sizeof(float))), size(count) {}
  float* data() const { return reinterpret_cast<float*>(bytes.get()); }

  Bytes bytes;
  size_t size;
};

Floats Normal(Random& random, size_t count) {
  Floats floats(count);
  for (size_t i = 0; i < count; ++i) floats.data()[i] = static_cast<float>(random.Normal());
  return floats;
}

TEST(Winograd, EqualsItsSlowTwin) {
  if (!HasAvx2()) GTEST_SKIP() << "this processor has no AVX2";
  Random random(kSeed);
  for (int round = 0; round < 30; ++round) {
    WinogradShape s{.images = 1 + random.Below(3),
                    .channels = 8 * (1 + random.Below(6)),
                    .height = 3 + random.Below(20),
                    .width = 3 + random.Below(20),
                    .outputs = 16 * (1 + random.Below(4))};
    if (round % 10 == 9)
      s.channels = 256, s.outputs = 128, s.height = 27, s.width = 31, s.images = 2;  // several chunks
    s.top = random.Below(3), s.left = random.Below(3);
    s.out_height = s.height + s.top + random.Below(2) - 2;
    s.out_width = s.width + s.left + random.Below(2) - 2;
    if (round % 2 == 0) s.activation.kind = Activation::Kind::kRelu;
    const Floats from = Normal(random, s.images * s.channels * s.height * s.width);
    const Floats weights = Normal(random, s.outputs * s.channels * 9), bias = Normal(random, s.outputs);
    const float* const added = round % 3 == 0 ? nullptr : bias.data();
    const size_t size = s.images * s.outputs * s.out_height * s.out_width;
    const Floats into(s.weights()), fast(size), slow(size), shared(size);
    WinogradWeights(s, {weights.data(), weights.size}, into.data());
    Winograd(s, from.data(), into.data(), added, Floats(s.scratch()).data(), fast.data());
    WinogradPlain(s, from.data(), {weights.data(), weights.size}, added, slow.data());
    const double size_of_sums = std::sqrt(9 * static_cast<double>(s.channels));
    for (size_t i = 0; i < size; ++i) {
      ASSERT_NEAR(fast.data()[i], slow.data()[i], 1e-4 * size_of_sums) << "round " << round << " at " << i;
    }
    for (const size_t threads : {2, 3}) {
      WinogradShape several = s;
      several.threads = threads;
      Winograd(several, from.data(), into.data(), added, Floats(several.scratch()).data(), shared.data());
      for (size_t i = 0; i < size; ++i) {
        ASSERT_EQ(shared.data()[i], fast.data()[i]) << "round " << round << " with " << threads << " threads at " << i;
      }
    }
  }
}

}  // namespace
}  // namespace likeness
