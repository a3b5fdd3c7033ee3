#include "kernel/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernel/target.h"

#if LIKENESS_X86
#include <immintrin.h>
#endif

namespace likeness {
namespace {

constexpr int kTapBits = 14;
constexpr int kDownShift = kTapBits - kSumBits;
constexpr int kAlongShift = kTapBits + kSumBits;
constexpr uint32_t kGroup = 8;  // inputs whose wide weights stand together

struct Down {
  const uint8_t* first;
  size_t stride;
  const int16_t* weights;
  size_t rows;
};

void DownColumns(const Down& down, int16_t* out, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    int32_t sum = 1 << (kDownShift - 1);
    for (size_t r = 0; r < down.rows; ++r) sum += int32_t{down.weights[r]} * down.first[r * down.stride + i];
    out[i] = static_cast<int16_t>(sum >> kDownShift);
  }
}

void SumDownScalar(const Down& down, int16_t* out, size_t size) { DownColumns(down, out, 0, size); }

void SumAlongScalar(const int16_t* row, uint32_t row_begin, const ResizeTaps& taps, uint8_t* out) {
  for (const ResizeTaps::Span& span : taps.spans()) {
    const int16_t* from = row + size_t{span.first - row_begin} * 3;
    const std::span<const int16_t> weights = taps.weights(span);
    for (size_t c = 0; c < 3; ++c) {
      int32_t sum = 1 << (kAlongShift - 1);
      for (size_t i = 0; i < weights.size(); ++i) sum += int32_t{weights[i]} * from[i * 3 + c];
      *out++ = static_cast<uint8_t>(std::clamp(sum >> kAlongShift, 0, 255));
    }
  }
}

void NormaliseScalar(const uint8_t* triples, size_t count, const NormaliseOptions& options, size_t plane, float* out) {
  for (size_t c = 0; c < 3; ++c) {
    const uint8_t* from = triples + (options.reversed ? 2 - c : c);
    float* to = out + (plane > 0 ? c * plane : c);
    const size_t step = plane > 0 ? 1 : 3;
    for (size_t i = 0; i < count; ++i) {
      to[i * step] = (static_cast<float>(static_cast<int>(from[i * 3])) - options.mean[c]) * options.scale[c];
    }
  }
}

#if LIKENESS_X86

// Two weights as one number, for multiply-add of pairs.
int32_t Pair(int16_t first, int16_t second) {
  return static_cast<int32_t>(static_cast<uint32_t>(static_cast<uint16_t>(first)) |
                              static_cast<uint32_t>(static_cast<uint16_t>(second)) << 16);
}

LIKENESS_AVX2 void SumDownAvx2(const Down& down, int16_t* out, size_t size) {
  const __m256i half = _mm256_set1_epi32(1 << (kDownShift - 1));
  size_t i = 0;
  for (; i + 16 <= size; i += 16) {
    __m256i left = half, right = half;
    for (size_t r = 0; r < down.rows; r += 2) {
      const bool two = r + 1 < down.rows;
      const uint8_t* at = down.first + r * down.stride + i;
      const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
      const __m128i b = two ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + down.stride)) : a;
      const __m256i weights = _mm256_set1_epi32(Pair(down.weights[r], two ? down.weights[r + 1] : int16_t{0}));
      left = _mm256_add_epi32(left, _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)), weights));
      right = _mm256_add_epi32(right, _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b)), weights));
    }
    const __m256i packed =
        _mm256_packs_epi32(_mm256_srai_epi32(left, kDownShift), _mm256_srai_epi32(right, kDownShift));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), _mm256_permute4x64_epi64(packed, 0xd8));
  }
  DownColumns(down, out, i, size);
}

LIKENESS_AVX512 void SumDownAvx512(const Down& down, int16_t* out, size_t size) {
  const __m512i half = _mm512_set1_epi32(1 << (kDownShift - 1));
  const __m512i order = _mm512_set_epi64(7, 5, 6, 4, 3, 1, 2, 0);
  size_t i = 0;
  for (; i + 32 <= size; i += 32) {
    __m512i left = half, right = half;
    for (size_t r = 0; r < down.rows; r += 2) {
      const bool two = r + 1 < down.rows;
      const uint8_t* at = down.first + r * down.stride + i;
      const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
      const __m256i b = two ? _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + down.stride)) : a;
      const __m512i weights = _mm512_set1_epi32(Pair(down.weights[r], two ? down.weights[r + 1] : int16_t{0}));
      left = _mm512_add_epi32(left, _mm512_madd_epi16(_mm512_cvtepu8_epi16(_mm256_unpacklo_epi8(a, b)), weights));
      right = _mm512_add_epi32(right, _mm512_madd_epi16(_mm512_cvtepu8_epi16(_mm256_unpackhi_epi8(a, b)), weights));
    }
    // left has columns 0-7 and 16-23, right 8-15 and 24-31; packing takes four of each in turn.
    const __m512i packed =
        _mm512_packs_epi32(_mm512_srai_epi32(left, kDownShift), _mm512_srai_epi32(right, kDownShift));
    _mm512_storeu_si512(out + i, _mm512_permutexvar_epi64(order, packed));
  }
  DownColumns(down, out, i, size);
}

// Sums of one output to three bytes; a fourth is written and overwritten by the next output.
LIKENESS_AVX2 inline void StoreTriple(__m128i sum, uint8_t* out) {
  const __m128i words = _mm_packs_epi32(_mm_srai_epi32(sum, kAlongShift), _mm_setzero_si128());
  const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  std::memcpy(out, &bytes, 4);
}

LIKENESS_AVX2 void SumAlongAvx2(const int16_t* row, uint32_t row_begin, const ResizeTaps& taps, uint8_t* out) {
  // r0 g0 b0 r1 g1 b1 to r0 r1 g0 g1 b0 b1.
  const __m256i pairs = _mm256_broadcastsi128_si256(_mm_set_epi8(-1, -1, -1, -1, 11, 10, 5, 4, 9, 8, 3, 2, 7, 6, 1, 0));
  const __m128i half = _mm_set1_epi32(1 << (kAlongShift - 1));
  for (const ResizeTaps::Span& span : taps.spans()) {
    const int16_t* from = row + size_t{span.first - row_begin} * 3;
    const int16_t* weights = taps.wide(span);
    __m256i sum = _mm256_castsi128_si256(half);
    sum = _mm256_inserti128_si256(sum, _mm_setzero_si128(), 1);
    for (uint32_t i = 0; i < span.count; i += 4, from += 12, weights += 16) {
      const __m256i four =
          _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))),
                                  _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 6)), 1);
      const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_shuffle_epi8(four, pairs), w));
    }
    StoreTriple(_mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1)), out);
    out += 3;
  }
}

LIKENESS_AVX512 void SumAlongAvx512(const int16_t* row, uint32_t row_begin, const ResizeTaps& taps, uint8_t* out) {
  // The same for four pairs of triples, 24 words, at once.
  alignas(64) static constexpr uint16_t kOrder[32] = {0,  3,  1,  4,  2,  5,  0, 0, 6,  9,  7,  10, 8,  11, 0, 0,
                                                      12, 15, 13, 16, 14, 17, 0, 0, 18, 21, 19, 22, 20, 23, 0, 0};
  const __m512i order = _mm512_load_si512(kOrder);
  const __m128i half = _mm_set1_epi32(1 << (kAlongShift - 1));
  for (const ResizeTaps::Span& span : taps.spans()) {
    const int16_t* from = row + size_t{span.first - row_begin} * 3;
    const int16_t* weights = taps.wide(span);
    __m512i sum = _mm512_zextsi128_si512(half);
    for (uint32_t i = 0; i < span.count; i += kGroup, from += 24, weights += 32) {
      const __m512i eight = _mm512_permutexvar_epi16(order, _mm512_loadu_si512(from));
      sum = _mm512_add_epi32(sum, _mm512_madd_epi16(eight, _mm512_loadu_si512(weights)));
    }
    const __m256i two = _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
    StoreTriple(_mm_add_epi32(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1)), out);
    out += 3;
  }
}

// The bytes c, c + 3, c + 6, ... of 48 that begin at `at`.
template <int kChannel>
LIKENESS_AVX2 inline __m128i EveryThird(const uint8_t* at) {
  const auto mask = [](int block) LIKENESS_AVX2 {
    alignas(16) int8_t bytes[16];
    for (int i = 0; i < 16; ++i) {
      const int from = i * 3 + kChannel - block * 16;
      bytes[i] = static_cast<int8_t>(from >= 0 && from < 16 ? from : -1);
    }
    return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes));
  };
  const auto* blocks = reinterpret_cast<const __m128i*>(at);
  return _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(_mm_loadu_si128(blocks), mask(0)),
                                   _mm_shuffle_epi8(_mm_loadu_si128(blocks + 1), mask(1))),
                      _mm_shuffle_epi8(_mm_loadu_si128(blocks + 2), mask(2)));
}

LIKENESS_AVX2 void NormaliseAvx2(const uint8_t* triples, size_t count, const NormaliseOptions& options, size_t plane,
                                 float* out) {
  if (plane == 0) return NormaliseScalar(triples, count, options, plane, out);
  __m256 mean[3], scale[3];
  for (size_t c = 0; c < 3; ++c) {
    mean[c] = _mm256_set1_ps(options.mean[c]);
    scale[c] = _mm256_set1_ps(options.scale[c]);
  }
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m128i bytes[3] = {EveryThird<0>(triples + i * 3), EveryThird<1>(triples + i * 3), EveryThird<2>(triples + i * 3)};
    if (options.reversed) std::swap(bytes[0], bytes[2]);
    for (size_t c = 0; c < 3; ++c) {
      const __m256 low = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes[c]));
      const __m256 high = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes[c], 8)));
      float* to = out + c * plane + i;
      _mm256_storeu_ps(to, _mm256_mul_ps(_mm256_sub_ps(low, mean[c]), scale[c]));
      _mm256_storeu_ps(to + 8, _mm256_mul_ps(_mm256_sub_ps(high, mean[c]), scale[c]));
    }
  }
  if (i < count) NormaliseScalar(triples + i * 3, count - i, options, plane, out + i);
}

constexpr auto NormaliseAvx512 = NormaliseAvx2;

#endif

constexpr Versions<void (*)(const Down&, int16_t*, size_t)> kSumDown LIKENESS_VERSIONS(SumDown);
constexpr Versions<void (*)(const int16_t*, uint32_t, const ResizeTaps&, uint8_t*)> kSumAlong
    LIKENESS_VERSIONS(SumAlong);
constexpr Versions<void (*)(const uint8_t*, size_t, const NormaliseOptions&, size_t, float*)> kNormalise
    LIKENESS_VERSIONS(Normalise);

}  // namespace

void ResizeTaps::Add(uint32_t first, std::span<const double> weights) {
  Span span{first, static_cast<uint32_t>(weights.size()), weights_.size(), wide_.size()};
  spans_.push_back(span);
  // Each weight is what its running sum adds to the rounded one, so that no error piles up.
  double sum = 0;
  int rounded = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i];
    const int next = i + 1 == weights.size() ? kTapOne : static_cast<int>(std::lround(sum * kTapOne));
    weights_.push_back(static_cast<int16_t>(std::clamp(next - rounded, -32768, 32767)));
    rounded = next;
  }
  const int16_t* narrow = &weights_[span.weights];
  for (uint32_t i = 0; i < (span.count + kGroup - 1) / kGroup * kGroup; i += 2) {
    const int16_t a = i < span.count ? narrow[i] : int16_t{0}, b = i + 1 < span.count ? narrow[i + 1] : int16_t{0};
    for (const int16_t weight : {a, b, a, b, a, b, int16_t{0}, int16_t{0}}) wide_.push_back(weight);
  }
}

void SumDown(const uint8_t* first, size_t stride, std::span<const int16_t> weights, std::span<int16_t> out) {
  kSumDown.Active()({first, stride, weights.data(), weights.size()}, out.data(), out.size());
}

void SumAlong(const int16_t* row, uint32_t row_begin, const ResizeTaps& taps, uint8_t* out) {
  kSumAlong.Active()(row, row_begin, taps, out);
}

void NormaliseTriples(const uint8_t* triples, size_t count, const NormaliseOptions& options, size_t plane, float* out) {
  kNormalise.Active()(triples, count, options, plane, out);
}

}  // namespace likeness
