#include "infer/dense.h"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#define LIKENESS_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#endif

namespace likeness {
namespace {

constexpr size_t kBlock = 64;  // outputs that are computed together

float Widened(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

uint16_t Narrowed(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void Finish(const DenseShape& s, const float* bias, float* sums, void* to) {
  for (size_t i = 0; i < s.vectors * s.outputs; ++i) {
    const float value = s.activation(sums[i] + (bias == nullptr ? 0 : bias[i % s.outputs]));
    if (s.bf16) {
      static_cast<uint16_t*>(to)[i] = Narrowed(value);
    } else {
      static_cast<float*>(to)[i] = value;
    }
  }
}

}  // namespace

void DensePlain(const DenseShape& s, const uint16_t* from, const uint16_t* weights, const float* bias, float* sums,
                void* to) {
  for (size_t v = 0; v < s.vectors; ++v) {
    for (size_t o = 0; o < s.outputs; ++o) {
      float sum = 0;
      for (size_t i = 0; i < s.inputs; ++i) {
        const size_t at = ((o / kBlock * s.inputs / 2 + i / 2) * kBlock + o % kBlock) * 2 + i % 2;
        sum += Widened(from[v * s.inputs + i]) * Widened(weights[at]);
      }
      sums[v * s.outputs + o] = sum;
    }
  }
  Finish(s, bias, sums, to);
}

#if defined(__x86_64__)
namespace {

// Adds the products of `pairs` pairs of inputs to 64 sums of each of `Count` vectors.
template <size_t Count>
LIKENESS_BF16 void AddProducts(const uint16_t* const* from, const uint16_t* weights, size_t pairs, float* const* sums) {
  constexpr size_t kAhead = 1024;  // bytes; further is no better
  __m512 total[Count][4];
#pragma GCC unroll 4
  for (size_t v = 0; v < Count; ++v) {
#pragma GCC unroll 4
    for (size_t q = 0; q < 4; ++q) total[v][q] = _mm512_loadu_ps(sums[v] + q * 16);
  }
  for (size_t i = 0; i < pairs; ++i, weights += 2 * kBlock) {
    __m512bh row[4];
#pragma GCC unroll 4
    for (size_t q = 0; q < 4; ++q) {
      _mm_prefetch(reinterpret_cast<const char*>(weights + q * 32) + kAhead, _MM_HINT_T0);
      const __m512i bits = _mm512_loadu_si512(weights + q * 32);
      std::memcpy(&row[q], &bits, sizeof(bits));
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < Count; ++v) {
      int32_t pair;
      std::memcpy(&pair, from[v] + 2 * i, sizeof(pair));
      const __m512i both = _mm512_set1_epi32(pair);
      __m512bh inputs;
      std::memcpy(&inputs, &both, sizeof(both));
#pragma GCC unroll 4
      for (size_t q = 0; q < 4; ++q) total[v][q] = _mm512_dpbf16_ps(total[v][q], row[q], inputs);
    }
  }
#pragma GCC unroll 4
  for (size_t v = 0; v < Count; ++v) {
#pragma GCC unroll 4
    for (size_t q = 0; q < 4; ++q) _mm512_storeu_ps(sums[v] + q * 16, total[v][q]);
  }
}

}  // namespace

void Dense(const DenseShape& s, const uint16_t* from, const uint16_t* weights, const float* bias, float* sums,
           void* to) {
  constexpr size_t kPairs = 2048;  // 512 KiB of the matrix, which stay in the cache for the next four vectors
  std::fill_n(sums, s.vectors * s.outputs, 0.f);
  for (size_t o = 0; o < s.outputs; o += kBlock) {
    for (size_t first = 0; first < s.inputs / 2; first += kPairs) {
      const size_t pairs = std::min(kPairs, s.inputs / 2 - first);
      const uint16_t* block = weights + (o / kBlock * s.inputs / 2 + first) * kBlock * 2;
      for (size_t v = 0; v < s.vectors;) {
        const uint16_t* inputs[4];
        float* totals[4];
        for (size_t k = 0; k < 4 && v + k < s.vectors; ++k) {
          inputs[k] = from + (v + k) * s.inputs + 2 * first;
          totals[k] = sums + (v + k) * s.outputs + o;
        }
        if (v + 4 <= s.vectors) {
          AddProducts<4>(inputs, block, pairs, totals);
          v += 4;
        } else {
          AddProducts<1>(inputs, block, pairs, totals);
          v += 1;
        }
      }
    }
  }
  Finish(s, bias, sums, to);
}
#else
void Dense(const DenseShape& s, const uint16_t* from, const uint16_t* weights, const float* bias, float* sums,
           void* to) {
  DensePlain(s, from, weights, bias, sums, to);
}
#endif

}  // namespace likeness
