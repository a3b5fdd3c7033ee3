#include "infer/tile_convolution.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "infer/tiles.h"

// The rows of the input that a band of the output looks at are copied, padding and all, into planes of 32 channels, one
// line of the cache a pixel. A tile of input is then up to 16 such lines, and the tiles of neighboring taps are mostly
// the same lines, so that they come from the first cache. Two tiles of pixels by two of 16 outputs are summed at once.
// Weights stream from the second cache.
namespace likeness {
namespace {

constexpr size_t kChannels = 32;  // of a tile of input
constexpr size_t kOutputs = 32;   // of two tiles of weights
constexpr size_t kLine = 64;      // bytes
constexpr size_t kBandBytes = size_t{768} << 10;

float Widened(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

uint16_t Narrowed(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace

bool TileConvolutionCan(const Activation& activation) {
  return activation.kind == Activation::Kind::kNone ||
         (activation.kind == Activation::Kind::kRelu && activation.alpha == 0);
}

size_t TileConvolutionShape::tile() const {
  const size_t tiles = (out_width + 15) / 16;
  return (out_width + tiles - 1) / tiles;
}

size_t TileConvolutionShape::band() const {
  const size_t line = row() * channels * sizeof(uint16_t);
  const size_t rows = std::max(kBandBytes / line, kernel_height + stride_height) - kernel_height;
  const size_t most = std::max<size_t>(rows / stride_height, 1);
  const size_t bands = (out_height + most - 1) / most;
  return (out_height + bands - 1) / bands;
}

size_t TileConvolutionShape::scratch() const {
  return ((band() - 1) * stride_height + kernel_height) * row() * channels * sizeof(uint16_t);
}

void TileWeights(const TileConvolutionShape& s, std::span<const uint16_t> weights, uint16_t* to) {
  const size_t taps = s.kernel_height * s.kernel_width;
  for (size_t o = 0; o < s.outputs; o += kOutputs) {
    for (size_t c = 0; c < s.channels; c += kChannels) {
      for (size_t tap = 0; tap < taps; ++tap) {
        for (size_t i = 0; i < kOutputs * kChannels; ++i) {  // [2, 16 pairs of channels, 16 outputs, 2 channels]
          const size_t output = o + i / 512 * 16 + i / 2 % 16, channel = c + i % 512 / 32 * 2 + i % 2;
          *to++ = weights[(output * s.channels + channel) * taps + tap];
        }
      }
    }
  }
}

void TileConvolutionPlain(const TileConvolutionShape& s, const uint16_t* from, const uint16_t* weights,
                          const float* bias, void* to) {
  const size_t taps = s.kernel_height * s.kernel_width;
  for (size_t at = 0; at < s.images * s.out_height * s.out_width * s.outputs; ++at) {
    const size_t o = at % s.outputs, x = at / s.outputs % s.out_width, y = at / s.outputs / s.out_width % s.out_height;
    const uint16_t* const image = from + at / s.outputs / s.out_width / s.out_height * s.height * s.width * s.channels;
    float sum = bias == nullptr ? 0 : bias[o];
    for (size_t tap = 0; tap < taps; ++tap) {
      const size_t row = y * s.stride_height + tap / s.kernel_width - s.top;
      const size_t column = x * s.stride_width + tap % s.kernel_width - s.left;
      if (row >= s.height || column >= s.width) continue;  // below zero wraps around
      for (size_t c = 0; c < s.channels; ++c) {
        sum += Widened(image[(row * s.width + column) * s.channels + c]) *
               Widened(weights[(o * s.channels + c) * taps + tap]);
      }
    }
    sum = s.activation(sum);
    if (s.bf16) {
      static_cast<uint16_t*>(to)[at] = Narrowed(sum);
    } else {
      static_cast<float*>(to)[at] = sum;
    }
  }
}

#if defined(__x86_64__)
namespace {

// Rows [first, first + count) of the padded input as planes [channels / 32, count, row, 32 channels].
LIKENESS_TILES void CopyRows(const TileConvolutionShape& s, const uint16_t* image, size_t first, size_t count,
                             std::byte* planes) {
  const size_t row = s.row(), plane = count * row * kLine;
  for (size_t r = 0; r < count; ++r) {
    const size_t y = first + r - s.top;  // below zero wraps around
    for (size_t i = 0; i < row; ++i) {
      const size_t x = i - s.left;
      std::byte* to = planes + (r * row + i) * kLine;
      if (y >= s.height || x >= s.width) {
        for (size_t c = 0; c < s.channels; c += kChannels, to += plane) _mm512_store_si512(to, _mm512_setzero_si512());
        continue;
      }
      const uint16_t* from = image + (y * s.width + x) * s.channels;
      for (size_t c = 0; c < s.channels; c += kChannels, to += plane, from += kChannels) {
        _mm512_store_si512(to, _mm512_loadu_si512(from));
      }
    }
  }
}

// Where the pixels of a tile lie.
struct Place {
  const std::byte* from;  // in the first plane, under the first tap
  size_t pixel;           // of the output
};

// Sums of two tiles of pixels and 32 outputs: f32[2, 2, 16, 16].
LIKENESS_TILES inline void Sum(const TileConvolutionShape& s, const Place* places, const uint16_t* weights,
                               size_t plane, float* sums) {
  const size_t row = s.row() * kLine, apart = s.stride_width * kLine;
  const std::byte *a = places[0].from, *b = places[1].from;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t c = 0; c < s.channels; c += kChannels, a += plane, b += plane) {
    for (size_t y = 0; y < s.kernel_height; ++y) {
      for (size_t x = 0; x < s.kernel_width; ++x, weights += kOutputs * kChannels) {
        const size_t tap = y * row + x * kLine;
        _tile_loadd(6, weights, kLine);
        _tile_loadd(4, a + tap, apart);
        _tile_loadd(7, weights + kOutputs * kChannels / 2, kLine);
        _tile_loadd(5, b + tap, apart);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
  }
  _tile_stored(0, sums, kLine);
  _tile_stored(1, sums + 256, kLine);
  _tile_stored(2, sums + 512, kLine);
  _tile_stored(3, sums + 768, kLine);
}

LIKENESS_TILES inline void Finish(const TileConvolutionShape& s, const Place* places, const float* bias, size_t output,
                                  const float* sums, void* to) {
  const __m512 zero = _mm512_setzero_ps();
  const __m512 low = bias == nullptr ? zero : _mm512_loadu_ps(bias + output);
  const __m512 high = bias == nullptr ? zero : _mm512_loadu_ps(bias + output + 16);
  const bool relu = s.activation.kind == Activation::Kind::kRelu;
  const size_t pixels = s.tile();
  for (size_t half = 0; half < 2; ++half, sums += 512) {
    const size_t first = places[half].pixel * s.outputs + output;
    for (size_t i = 0; i < pixels; ++i) {
      __m512 a = _mm512_add_ps(_mm512_load_ps(sums + i * 16), low);
      __m512 b = _mm512_add_ps(_mm512_load_ps(sums + i * 16 + 256), high);
      if (relu) a = _mm512_max_ps(a, zero), b = _mm512_max_ps(b, zero);
      if (s.bf16) {
        const __m512bh narrow = _mm512_cvtne2ps_pbh(b, a);
        std::memcpy(static_cast<uint16_t*>(to) + first + i * s.outputs, &narrow, sizeof(narrow));
      } else {
        _mm512_storeu_ps(static_cast<float*>(to) + first + i * s.outputs, a);
        _mm512_storeu_ps(static_cast<float*>(to) + first + i * s.outputs + 16, b);
      }
    }
  }
}

}  // namespace

LIKENESS_TILES void TileConvolution(const TileConvolutionShape& s, const uint16_t* from, const uint16_t* weights,
                                    const float* bias, std::byte* scratch, void* to) {
  const size_t tile = s.tile(), across = (s.out_width + tile - 1) / tile, band = s.band(), row = s.row();
  const size_t block = kOutputs * s.channels * s.kernel_height * s.kernel_width;
  TileShapes shapes;
  for (const size_t i : {0, 1, 2, 3, 4, 5}) shapes.rows[i] = static_cast<uint8_t>(tile);
  TakeTiles(shapes);
  alignas(64) float sums[4 * 256];
  for (size_t image = 0; image < s.images; ++image) {
    for (size_t top = 0; top < s.out_height; top += band) {
      const size_t rows = std::min(band, s.out_height - top);
      const size_t lines = (rows - 1) * s.stride_height + s.kernel_height;
      CopyRows(s, from + image * s.height * s.width * s.channels, top * s.stride_height, lines, scratch);
      Stored();
      const auto place = [&](size_t t) {
        const size_t y = t / across, x = std::min(t % across * tile, s.out_width - tile);
        return Place{scratch + (y * s.stride_height * row + x * s.stride_width) * kLine,
                     (image * s.out_height + top + y) * s.out_width + x};
      };
      for (size_t output = 0; output < s.outputs; output += kOutputs) {
        const uint16_t* const part = weights + output / kOutputs * block;
        for (size_t t = 0; t < rows * across; t += 2) {
          const Place places[2] = {place(t), place(std::min(t + 1, rows * across - 1))};
          Sum(s, places, part, lines * row * kLine, sums);
          Finish(s, places, bias, output, sums, to);
        }
      }
    }
  }
  ReleaseTiles();
}
#else
void TileConvolution(const TileConvolutionShape&, const uint16_t*, const uint16_t*, const float*, std::byte*, void*) {}
#endif

}  // namespace likeness
