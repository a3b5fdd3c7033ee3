#include "kernel/half.h"

#include <bit>
#include <cstddef>

#include "kernel/target.h"

#if LIKENESS_X86
#include <immintrin.h>
#endif

namespace likeness {
namespace {

float OneToFloat(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu, fraction = half & 0x3FFu;
  if (exponent == 0x1F) {
    const uint32_t quiet = fraction != 0 ? 0x400000u : 0;
    return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13 | quiet);
  }
  if (exponent == 0) {  // zero, or denormal: fraction * 2^-24, which a float holds exactly
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t OneToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value), magnitude = bits & 0x7FFFFFFFu;
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u | (magnitude >> 13 & 0x3FFu));
  if (magnitude >= 0x47800000u) return sign | 0x7C00u;  // 65536 and above
  // The half is `significand` without its last `drop` bits, rounded; an overflow of the rounding carries into the
  // exponent, as it must, up to infinity.
  uint32_t significand = magnitude - (112u << 23), drop = 13;
  if (magnitude < 0x38800000u) {  // below 2^-14: a denormal half, in units of 2^-24
    const uint32_t exponent = magnitude >> 23;
    if (exponent < 102) return sign;  // below 2^-25, which is half a unit
    significand = (magnitude & 0x7FFFFFu) | 0x800000u;
    drop = 126 - exponent;
  }
  const uint32_t kept = significand >> drop, rest = significand & ((1u << drop) - 1), tie = 1u << (drop - 1);
  const uint32_t up = rest > tie || (rest == tie && (kept & 1) != 0) ? 1 : 0;
  return static_cast<uint16_t>(sign | (kept + up));
}

void ToFloatScalar(const uint16_t* in, float* out, size_t n) {
  for (size_t i = 0; i < n; ++i) out[i] = OneToFloat(in[i]);
}

void ToHalfScalar(const float* in, uint16_t* out, size_t n) {
  for (size_t i = 0; i < n; ++i) out[i] = OneToHalf(in[i]);
}

#if LIKENESS_X86

LIKENESS_AVX2 void ToFloatAvx2(const uint16_t* in, float* out, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i))));
  }
  ToFloatScalar(in + i, out + i, n - i);
}

LIKENESS_AVX2 void ToHalfAvx2(const float* in, uint16_t* out, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), half);
  }
  ToHalfScalar(in + i, out + i, n - i);
}

LIKENESS_AVX512 void ToFloatAvx512(const uint16_t* in, float* out, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const auto mask = static_cast<__mmask16>(n - i >= 16 ? 0xFFFF : (1u << (n - i)) - 1);
    _mm512_mask_storeu_ps(out + i, mask, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, in + i)));
  }
}

LIKENESS_AVX512 void ToHalfAvx512(const float* in, uint16_t* out, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    const auto mask = static_cast<__mmask16>(n - i >= 16 ? 0xFFFF : (1u << (n - i)) - 1);
    const __m512 value = _mm512_maskz_loadu_ps(mask, in + i);
    const __m256i half = _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm256_mask_storeu_epi16(out + i, mask, half);
  }
}

#endif

constexpr Versions<void (*)(const uint16_t*, float*, size_t)> kToFloat LIKENESS_VERSIONS(ToFloat);
constexpr Versions<void (*)(const float*, uint16_t*, size_t)> kToHalf LIKENESS_VERSIONS(ToHalf);

}  // namespace

void HalfToFloat(std::span<const uint16_t> in, std::span<float> out) {
  kToFloat.Active()(in.data(), out.data(), in.size());
}

void FloatToHalf(std::span<const float> in, std::span<uint16_t> out) {
  kToHalf.Active()(in.data(), out.data(), in.size());
}

}  // namespace likeness
