#include "feature/hadamard.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/random.h"
#include "base/status.h"

namespace likeness {
namespace {

// Sums and differences of all pairs that are `half` apart, for each half of 1, 2, 4 and so on.
[[gnu::always_inline]] inline void TransformBody(float* values, size_t n) {
  for (size_t i = 0; i < n; i += 4) {
    const float a = values[i], b = values[i + 1], c = values[i + 2], d = values[i + 3];
    const float ab = a + b, cd = c + d, ba = a - b, dc = c - d;
    values[i] = ab + cd;
    values[i + 1] = ba + dc;
    values[i + 2] = ab - cd;
    values[i + 3] = ba - dc;
  }
  for (size_t half = 4; half < n; half *= 2) {
    for (size_t begin = 0; begin < n; begin += 2 * half) {
      float* const low = values + begin;
      float* const high = low + half;
      for (size_t i = 0; i < half; ++i) {
        const float a = low[i], b = high[i];
        low[i] = a + b;
        high[i] = a - b;
      }
    }
  }
}

void TransformPlain(float* values, size_t n) { TransformBody(values, n); }

#if defined(__x86_64__)
// Additions alone: the same floats whatever the width.
[[gnu::target("avx2")]] void TransformAvx2(float* values, size_t n) { TransformBody(values, n); }
const auto Transform = __builtin_cpu_supports("avx2") ? TransformAvx2 : TransformPlain;
#else
const auto Transform = TransformPlain;
#endif

void FlipSigns(const uint64_t* flips, float* values, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof(bits));
    bits ^= static_cast<uint32_t>(flips[i / 64] >> (i % 64)) << 31;
    std::memcpy(values + i, &bits, sizeof(bits));
  }
}

}  // namespace

size_t HadamardLength(size_t dimension) { return std::max<size_t>(64, std::bit_ceil(dimension)); }

std::vector<uint64_t> RandomFlips(size_t rows, size_t dimension, uint64_t seed) {
  const size_t n = HadamardLength(dimension), blocks = (rows + n - 1) / n;
  Random random(seed);
  std::vector<uint64_t> flips(blocks * kHadamardRounds * (n / 64));
  for (uint64_t& word : flips) word = random();
  return flips;
}

void HadamardRotate(std::span<const uint64_t> flips, std::span<const float> x, std::span<float> out) {
  const size_t n = HadamardLength(x.size());
  LIKENESS_CHECK(flips.size() == (out.size() + n - 1) / n * kHadamardRounds * (n / 64));
  std::vector<float> values(n);
  for (size_t begin = 0; begin < out.size(); begin += n) {
    std::ranges::fill(std::ranges::copy(x, values.begin()).out, values.end(), 0.0f);
    for (size_t round = 0; round < kHadamardRounds; ++round) {
      FlipSigns(flips.data(), values.data(), n);
      Transform(values.data(), n);
      flips = flips.subspan(n / 64);
    }
    std::copy_n(values.begin(), std::min(n, out.size() - begin), out.begin() + static_cast<std::ptrdiff_t>(begin));
  }
}

}  // namespace likeness
