#include "kernel/row_sum.h"

#include <algorithm>

#include "kernel/target.h"

#if LIKENESS_X86
#include <immintrin.h>
#endif

namespace likeness {
namespace {

struct Rows {
  const uint8_t* first;
  size_t stride;
  const float* weights;
  size_t count;
};

float Value(uint8_t byte) { return static_cast<float>(static_cast<int>(byte)); }

// Columns [begin, end).
void SumColumns(const Rows& rows, float* out, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    float sum = 0;
    size_t r = 0;
    for (; r + 4 <= rows.count; r += 4) {
      const uint8_t* at = rows.first + r * rows.stride + i;
      const float* w = rows.weights + r;
      sum += (w[0] * Value(at[0]) + w[1] * Value(at[rows.stride])) +
             (w[2] * Value(at[2 * rows.stride]) + w[3] * Value(at[3 * rows.stride]));
    }
    for (; r < rows.count; ++r) sum += rows.weights[r] * Value(rows.first[r * rows.stride + i]);
    out[i] = sum;
  }
}

void RowSumScalar(const Rows& rows, float* out, size_t size) { SumColumns(rows, out, 0, size); }

#if LIKENESS_X86

LIKENESS_AVX2 void RowSumAvx2(const Rows& rows, float* out, size_t size) {
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    const auto product = [&](size_t r) LIKENESS_AVX2 {
      const auto* at = reinterpret_cast<const __m128i*>(rows.first + r * rows.stride + i);
      return _mm256_mul_ps(_mm256_set1_ps(rows.weights[r]),
                           _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(at))));
    };
    __m256 sum = _mm256_setzero_ps();
    size_t r = 0;
    for (; r + 4 <= rows.count; r += 4) {
      const __m256 left = _mm256_add_ps(product(r), product(r + 1));
      sum = _mm256_add_ps(sum, _mm256_add_ps(left, _mm256_add_ps(product(r + 2), product(r + 3))));
    }
    for (; r < rows.count; ++r) sum = _mm256_add_ps(sum, product(r));
    _mm256_storeu_ps(out + i, sum);
  }
  SumColumns(rows, out, i, size);
}

LIKENESS_AVX512 void RowSumAvx512(const Rows& rows, float* out, size_t size) {
  size_t i = 0;
  for (; i + 16 <= size; i += 16) {
    const auto product = [&](size_t r) LIKENESS_AVX512 {
      const auto* at = reinterpret_cast<const __m128i*>(rows.first + r * rows.stride + i);
      return _mm512_mul_ps(_mm512_set1_ps(rows.weights[r]),
                           _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(at))));
    };
    __m512 sum = _mm512_setzero_ps();
    size_t r = 0;
    for (; r + 4 <= rows.count; r += 4) {
      const __m512 left = _mm512_add_ps(product(r), product(r + 1));
      sum = _mm512_add_ps(sum, _mm512_add_ps(left, _mm512_add_ps(product(r + 2), product(r + 3))));
    }
    for (; r < rows.count; ++r) sum = _mm512_add_ps(sum, product(r));
    _mm512_storeu_ps(out + i, sum);
  }
  SumColumns(rows, out, i, size);
}

#endif

constexpr Versions<void (*)(const Rows&, float*, size_t)> kRowSum LIKENESS_VERSIONS(RowSum);

}  // namespace

void WeightedRowSum(const uint8_t* first, size_t stride, std::span<const float> weights, std::span<float> out) {
  kRowSum.Active()({first, stride, weights.data(), weights.size()}, out.data(), out.size());
}

}  // namespace likeness
