#include "infer/depthwise.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#if defined(__x86_64__)
#include <immintrin.h>
#define LIKENESS_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#endif

namespace likeness {
namespace {

float Widened(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

uint16_t Narrowed(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace

size_t NormalizeScratch(size_t channels, size_t half) { return (channels + 15) / 16 * 16 + 2 * half; }

bool DepthwiseCan(const Activation& activation) {
  using Kind = Activation::Kind;
  return activation.kind == Kind::kNone || (activation.kind == Kind::kRelu && activation.alpha == 0) ||
         activation.kind == Kind::kClip || activation.kind == Kind::kHardSwish;
}

void DepthwisePlain(const DepthwiseShape& s, const void* from, const float* weights, const float* bias, uint16_t* to) {
  const auto at = [&](size_t n, size_t y, size_t x, size_t c) {
    const size_t i = ((n * s.height + y) * s.width + x) * s.channels + c;
    return s.bf16 ? Widened(static_cast<const uint16_t*>(from)[i]) : static_cast<const float*>(from)[i];
  };
  for (size_t n = 0; n < s.images; ++n) {
    for (size_t oy = 0; oy < s.out_height; ++oy) {
      for (size_t ox = 0; ox < s.out_width; ++ox) {
        for (size_t c = 0; c < s.channels; ++c) {
          float sum = bias[c];
          for (size_t ky = 0; ky < s.kernel_height; ++ky) {
            for (size_t kx = 0; kx < s.kernel_width; ++kx) {
              const size_t y = oy * s.stride_height + ky - s.top, x = ox * s.stride_width + kx - s.left;
              if (y >= s.height || x >= s.width) continue;  // also what wrapped below 0
              sum += at(n, y, x, c) * weights[(ky * s.kernel_width + kx) * s.padded() + c];
            }
          }
          *to++ = Narrowed(s.activation(sum));
        }
      }
    }
  }
}

void MaxPoolPlain(const DepthwiseShape& s, const uint16_t* from, uint16_t* to) {
  for (size_t n = 0; n < s.images; ++n, from += s.height * s.width * s.channels) {
    for (size_t oy = 0; oy < s.out_height; ++oy) {
      for (size_t ox = 0; ox < s.out_width; ++ox) {
        for (size_t c = 0; c < s.channels; ++c) {
          float most = -std::numeric_limits<float>::infinity();
          for (size_t ky = 0; ky < s.kernel_height; ++ky) {
            for (size_t kx = 0; kx < s.kernel_width; ++kx) {
              const size_t y = oy * s.stride_height + ky - s.top, x = ox * s.stride_width + kx - s.left;
              if (y < s.height && x < s.width) most = std::max(most, Widened(from[(y * s.width + x) * s.channels + c]));
            }
          }
          *to++ = Narrowed(most);
        }
      }
    }
  }
}

#if defined(__x86_64__)
namespace {

// Integers that are ordered as the bf16 numbers of these bits are; the same once more gives the bits back.
LIKENESS_BF16 inline __m512i Ordered(__m512i bits) {
  return _mm512_xor_si512(bits, _mm512_and_si512(_mm512_srai_epi16(bits, 15), _mm512_set1_epi16(0x7fff)));
}

LIKENESS_BF16 void MaxPoolPixel(const uint16_t* first, size_t rows, size_t columns, size_t row, size_t channels,
                                uint16_t* to) {
  for (size_t c = 0; c < channels; c += 32) {
    const __mmask32 mask = channels - c >= 32 ? ~__mmask32{0} : (__mmask32{1} << (channels - c)) - 1;
    __m512i most = _mm512_set1_epi16(INT16_MIN);
    for (size_t y = 0; y < rows; ++y) {
      const uint16_t* from = first + y * row + c;
      for (size_t x = 0; x < columns; ++x, from += channels) {
        most = _mm512_max_epi16(most, Ordered(_mm512_maskz_loadu_epi16(mask, from)));
      }
    }
    _mm512_mask_storeu_epi16(to + c, mask, Ordered(most));
  }
}

// One row of pixels to f32 with zeros where the kernel reaches beyond it.
LIKENESS_BF16 void WidenRow(const DepthwiseShape& s, const void* from, float* to) {
  const size_t padded = s.padded();
  for (size_t x = 0; x < s.row(); ++x, to += padded) {
    if (x < s.left || x - s.left >= s.width) {
      std::fill_n(to, padded, 0.f);
      continue;
    }
    const size_t first = (x - s.left) * s.channels;
    for (size_t c = 0; c < s.channels; c += 16) {
      const auto mask = static_cast<__mmask16>(s.channels - c >= 16 ? 0xffff : (1u << (s.channels - c)) - 1);
      __m512 wide;
      if (s.bf16) {
        const __m256i bits = _mm256_maskz_loadu_epi16(mask, static_cast<const uint16_t*>(from) + first + c);
        wide = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
      } else {
        wide = _mm512_maskz_loadu_ps(mask, static_cast<const float*>(from) + first + c);
      }
      _mm512_storeu_ps(to + c, wide);
    }
  }
}

LIKENESS_BF16 inline __m512 Bend(const Activation& activation, __m512 x) {
  using Kind = Activation::Kind;
  if (activation.kind == Kind::kRelu) return _mm512_max_ps(x, _mm512_setzero_ps());
  if (activation.kind == Kind::kClip) {
    return _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(activation.alpha)), _mm512_set1_ps(activation.beta));
  }
  if (activation.kind == Kind::kHardSwish) {
    const __m512 gate = _mm512_fmadd_ps(x, _mm512_set1_ps(1.f / 6), _mm512_set1_ps(0.5f));
    return _mm512_mul_ps(x, _mm512_min_ps(_mm512_max_ps(gate, _mm512_setzero_ps()), _mm512_set1_ps(1)));
  }
  return x;
}

// `Count` neighbouring outputs of sixteen channels. `rows`: those under the kernel, from the top.
template <size_t Count>
LIKENESS_BF16 inline void Sixteen(const DepthwiseShape& s, const float* const* rows, size_t first, const float* weights,
                                  const float* bias, __mmask16 mask, uint16_t* to) {
  const size_t padded = s.padded(), step = s.stride_width * padded;
  __m512 sums[Count];
#pragma GCC unroll 8
  for (size_t j = 0; j < Count; ++j) sums[j] = _mm512_loadu_ps(bias);
  for (size_t ky = 0; ky < s.kernel_height; ++ky) {
    const float* from = rows[ky] + first;
    for (size_t kx = 0; kx < s.kernel_width; ++kx, from += padded, weights += padded) {
      const __m512 weight = _mm512_loadu_ps(weights);
#pragma GCC unroll 8
      for (size_t j = 0; j < Count; ++j) sums[j] = _mm512_fmadd_ps(_mm512_loadu_ps(from + j * step), weight, sums[j]);
    }
  }
#pragma GCC unroll 8
  for (size_t j = 0; j < Count; ++j) {
    const __m256bh narrow = _mm512_cvtneps_pbh(Bend(s.activation, sums[j]));
    __m256i bits;
    std::memcpy(&bits, &narrow, sizeof(bits));
    _mm256_mask_storeu_epi16(to + j * s.channels, mask, bits);
  }
}

}  // namespace

LIKENESS_BF16 void Depthwise(const DepthwiseShape& s, const void* from, const float* weights, const float* bias,
                             float* scratch, uint16_t* to) {
  constexpr size_t kMostRows = 64;
  const size_t padded = s.padded(), row = s.row() * padded, source = s.width * s.channels * (s.bf16 ? 2 : 4);
  if (s.kernel_height > kMostRows) return DepthwisePlain(s, from, weights, bias, to);
  const float* rows[kMostRows];
  for (size_t n = 0; n < s.images; ++n) {
    size_t ready = 0;  // rows that were widened, counted from the padding's top
    for (size_t oy = 0; oy < s.out_height; ++oy) {
      const size_t top = oy * s.stride_height;
      for (size_t y = std::max(ready, top); y < top + s.kernel_height; ++y) {
        float* const wide = scratch + y % s.kernel_height * row;
        if (y < s.top || y - s.top >= s.height) {
          std::fill_n(wide, row, 0.f);
        } else {
          WidenRow(s, static_cast<const std::byte*>(from) + (n * s.height + y - s.top) * source, wide);
        }
      }
      ready = top + s.kernel_height;
      for (size_t ky = 0; ky < s.kernel_height; ++ky) rows[ky] = scratch + (top + ky) % s.kernel_height * row;
      for (size_t c = 0; c < s.channels; c += 16) {
        const auto mask = static_cast<__mmask16>(s.channels - c >= 16 ? 0xffff : (1u << (s.channels - c)) - 1);
        size_t x = 0;
        const auto first = [&] { return x * s.stride_width * padded + c; };
        for (; x + 8 <= s.out_width; x += 8) {
          Sixteen<8>(s, rows, first(), weights + c, bias + c, mask, to + x * s.channels + c);
        }
        for (; x + 4 <= s.out_width; x += 4) {
          Sixteen<4>(s, rows, first(), weights + c, bias + c, mask, to + x * s.channels + c);
        }
        for (; x < s.out_width; ++x) {
          Sixteen<1>(s, rows, first(), weights + c, bias + c, mask, to + x * s.channels + c);
        }
      }
      to += s.out_width * s.channels;
    }
  }
}

LIKENESS_BF16 void MaxPoolChannelsLast(const DepthwiseShape& s, const uint16_t* from, uint16_t* to) {
  const size_t row = s.width * s.channels;
  for (size_t n = 0; n < s.images; ++n, from += s.height * row) {
    for (size_t oy = 0; oy < s.out_height; ++oy) {
      const size_t y = oy * s.stride_height;  // counted from the padding's edge
      const size_t top = std::max(y, s.top) - s.top, bottom = std::min(y + s.kernel_height - s.top, s.height);
      for (size_t ox = 0; ox < s.out_width; ++ox, to += s.channels) {
        const size_t x = ox * s.stride_width;
        const size_t left = std::max(x, s.left) - s.left, right = std::min(x + s.kernel_width - s.left, s.width);
        MaxPoolPixel(from + top * row + left * s.channels, bottom - top, right - left, row, s.channels, to);
      }
    }
  }
}

LIKENESS_BF16 void NormalizePixels(const uint16_t* from, size_t pixels, size_t channels, size_t half, float shift,
                                   float scale, float* squares, uint16_t* to) {
  const auto mask_at = [&](size_t c) {
    return static_cast<__mmask16>(channels - c >= 16 ? 0xffff : (1u << (channels - c)) - 1);
  };
  for (size_t p = 0; p < pixels; ++p, from += channels, to += channels) {
    const auto value_at = [&](size_t c) LIKENESS_BF16 {
      const __m256i bits = _mm256_maskz_loadu_epi16(mask_at(c), from + c);
      return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
    };
    for (size_t c = 0; c < channels; c += 16) {
      const __m512 x = value_at(c);
      _mm512_storeu_ps(squares + half + c, _mm512_mul_ps(x, x));
    }
    for (size_t c = 0; c < channels; c += 16) {
      __m512 sum = _mm512_loadu_ps(squares + c);
      for (size_t w = 1; w <= 2 * half; ++w) sum = _mm512_add_ps(sum, _mm512_loadu_ps(squares + c + w));
      const __m512 root = _mm512_rsqrt14_ps(_mm512_fmadd_ps(sum, _mm512_set1_ps(scale), _mm512_set1_ps(shift)));
      // root is t ^ -1/2, so root * root * root ^ -1/2 is t ^ -3/4.
      const __m512 factor = _mm512_mul_ps(_mm512_mul_ps(root, root), _mm512_rsqrt14_ps(root));
      const __m256bh narrow = _mm512_cvtneps_pbh(_mm512_mul_ps(value_at(c), factor));
      __m256i bits;
      std::memcpy(&bits, &narrow, sizeof(bits));
      _mm256_mask_storeu_epi16(to + c, mask_at(c), bits);
    }
  }
}
#else
void NormalizePixels(const uint16_t*, size_t, size_t, size_t, float, float, float*, uint16_t*) {}  // bf16 needs x86-64
void MaxPoolChannelsLast(const DepthwiseShape& s, const uint16_t* from, uint16_t* to) { MaxPoolPlain(s, from, to); }
void Depthwise(const DepthwiseShape& s, const void* from, const float* weights, const float* bias, float*,
               uint16_t* to) {
  DepthwisePlain(s, from, weights, bias, to);
}
#endif

}  // namespace likeness
