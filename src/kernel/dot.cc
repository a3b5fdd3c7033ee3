#include "kernel/dot.h"

#include <algorithm>
#include <cmath>

#include "kernel/target.h"

#if LIKENESS_X86
#include <immintrin.h>
#endif

namespace likeness {
namespace {

constexpr size_t kLanes = 64;  // of the float sums

// The last, incomplete block of a float vector, filled up with zeros: all levels then add the same numbers.
struct Tail {
  Tail(const float* from, size_t n) { std::copy_n(from, n, values); }
  alignas(64) float values[kLanes] = {};
};

int32_t DotInt8Scalar(const int8_t* a, const int8_t* b, size_t n) {
  int32_t sum = 0;
  for (size_t i = 0; i < n; ++i) sum += int32_t{a[i]} * int32_t{b[i]};
  return sum;
}

float DotFloatScalar(const float* a, const float* b, size_t n) {
  float lanes[kLanes] = {};
  const auto add = [&lanes](const float* x, const float* y) {
    for (size_t j = 0; j < kLanes; ++j) lanes[j] = std::fma(x[j], y[j], lanes[j]);
  };
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) add(a + i, b + i);
  if (i < n) add(Tail(a + i, n - i).values, Tail(b + i, n - i).values);
  for (size_t half = kLanes / 2; half > 0; half /= 2) {
    for (size_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  }
  return lanes[0];
}

void MatVecScalar(const float* matrix, const float* x, size_t n, float* out, size_t rows) {
  for (size_t r = 0; r < rows; ++r) out[r] = DotFloatScalar(matrix + r * n, x, n);
}

#if LIKENESS_X86

// Lanes 0-3 of the sum, which is what the halves leave before the last two steps.
LIKENESS_AVX2 inline float AddLanes4(__m128 sum) {
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}

LIKENESS_AVX2 inline float AddLanes8(__m256 sum) {
  return AddLanes4(_mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1)));
}

LIKENESS_AVX2 int32_t DotInt8Avx2(const int8_t* a, const int8_t* b, size_t n) {
  // Widened to 16 bits: the products of pairs, at most 2 * 2^14, fit 32 bits for all values.
  __m256i sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    for (size_t j = 0; j < 2; ++j) {
      const __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a + i + 16 * j)));
      const __m256i y = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b + i + 16 * j)));
      sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(x, y));
    }
  }
  alignas(32) int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), _mm256_add_epi32(sum[0], sum[1]));
  int32_t total = DotInt8Scalar(a + i, b + i, n - i);
  for (const int32_t lane : lanes) total += lane;
  return total;
}

LIKENESS_AVX2 float DotFloatAvx2(const float* a, const float* b, size_t n) {
  __m256 sum[8] = {};
  const auto add = [&sum](const float* x, const float* y) LIKENESS_AVX2 {
    for (size_t j = 0; j < 8; ++j) {
      sum[j] = _mm256_fmadd_ps(_mm256_loadu_ps(x + 8 * j), _mm256_loadu_ps(y + 8 * j), sum[j]);
    }
  };
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) add(a + i, b + i);
  if (i < n) add(Tail(a + i, n - i).values, Tail(b + i, n - i).values);
  for (size_t half = 4; half > 0; half /= 2) {
    for (size_t j = 0; j < half; ++j) sum[j] = _mm256_add_ps(sum[j], sum[j + half]);
  }
  return AddLanes8(sum[0]);
}

LIKENESS_AVX2 void MatVecAvx2(const float* matrix, const float* x, size_t n, float* out, size_t rows) {
  for (size_t r = 0; r < rows; ++r) out[r] = DotFloatAvx2(matrix + r * n, x, n);
}

LIKENESS_AVX512 int32_t DotInt8Avx512(const int8_t* a, const int8_t* b, size_t n) {
  // vpdpbusd wants one side unsigned: (a + 128) . b - 128 * sum(b), both modulo 2^32, exact for all values of a and b.
  const __m512i flip = _mm512_set1_epi8(-128), ones = _mm512_set1_epi8(1);
  __m512i sum[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  __m512i sum_b[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  size_t i = 0;
  for (; i + 128 <= n; i += 128) {
    for (size_t j = 0; j < 2; ++j) {
      const __m512i x = _mm512_xor_si512(_mm512_loadu_si512(a + i + 64 * j), flip);
      const __m512i y = _mm512_loadu_si512(b + i + 64 * j);
      sum[j] = _mm512_dpbusd_epi32(sum[j], x, y);
      sum_b[j] = _mm512_dpbusd_epi32(sum_b[j], ones, y);
    }
  }
  for (; i < n; i += 64) {
    const __mmask64 mask = n - i >= 64 ? ~__mmask64{0} : (__mmask64{1} << (n - i)) - 1;
    const __m512i y = _mm512_maskz_loadu_epi8(mask, b + i);  // where b is 0 it does not matter what a is
    sum[0] = _mm512_dpbusd_epi32(sum[0], _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, a + i), flip), y);
    sum_b[0] = _mm512_dpbusd_epi32(sum_b[0], ones, y);
  }
  const __m512i dot = _mm512_add_epi32(sum[0], sum[1]);
  const __m512i shift = _mm512_slli_epi32(_mm512_add_epi32(sum_b[0], sum_b[1]), 7);
  return _mm512_reduce_add_epi32(_mm512_sub_epi32(dot, shift));
}

LIKENESS_AVX512 float DotFloatAvx512(const float* a, const float* b, size_t n) {
  __m512 sum[4] = {};
  const auto add = [&sum](const float* x, const float* y) LIKENESS_AVX512 {
    for (size_t j = 0; j < 4; ++j) {
      sum[j] = _mm512_fmadd_ps(_mm512_loadu_ps(x + 16 * j), _mm512_loadu_ps(y + 16 * j), sum[j]);
    }
  };
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) add(a + i, b + i);
  if (i < n) add(Tail(a + i, n - i).values, Tail(b + i, n - i).values);
  sum[0] = _mm512_add_ps(_mm512_add_ps(sum[0], sum[2]), _mm512_add_ps(sum[1], sum[3]));
  return AddLanes8(_mm256_add_ps(_mm512_castps512_ps256(sum[0]), _mm512_extractf32x8_ps(sum[0], 1)));
}

LIKENESS_AVX512 void MatVecAvx512(const float* matrix, const float* x, size_t n, float* out, size_t rows) {
  for (size_t r = 0; r < rows; ++r) out[r] = DotFloatAvx512(matrix + r * n, x, n);
}

#endif

constexpr Versions<int32_t (*)(const int8_t*, const int8_t*, size_t)> kDotInt8 LIKENESS_VERSIONS(DotInt8);
constexpr Versions<float (*)(const float*, const float*, size_t)> kDotFloat LIKENESS_VERSIONS(DotFloat);
constexpr Versions<void (*)(const float*, const float*, size_t, float*, size_t)> kMatVec LIKENESS_VERSIONS(MatVec);

}  // namespace

int32_t DotInt8(std::span<const int8_t> a, std::span<const int8_t> b) {
  return kDotInt8.Active()(a.data(), b.data(), a.size());
}

float DotFloat(std::span<const float> a, std::span<const float> b) {
  return kDotFloat.Active()(a.data(), b.data(), a.size());
}

void MatVec(std::span<const float> matrix, std::span<const float> x, std::span<float> out) {
  kMatVec.Active()(matrix.data(), x.data(), x.size(), out.data(), out.size());
}

}  // namespace likeness
