#include "infer/winograd.h"

#include <algorithm>

#include "infer/share_work.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define LIKENESS_WINOGRAD __attribute__((target("avx2,fma")))
#endif

namespace likeness {
namespace {

constexpr size_t kBlock = WinogradShape::kBlock, kOutputs = WinogradShape::kOutputs;
constexpr size_t kPoints = 36;  // of the space, 6 x 6

}  // namespace

// So many that what is made of them stays in the second cache, unless the weights do not: those are read for each
// chunk.
size_t WinogradShape::chunk() const {
  constexpr size_t kCache = size_t{5} << 18, kLeast = 24, kMany = 96;
  const size_t fit = kCache / (kPoints * (channels + outputs) * sizeof(float));
  const size_t most = std::max(fit, weights() * sizeof(float) > kCache ? kMany : kLeast);
  const size_t chunks = (tiles() + most - 1) / most;
  return (tiles() + chunks - 1) / chunks;
}

void WinogradWeights(const WinogradShape& s, std::span<const float> weights, float* to) {
  constexpr double kInto[6][3] = {{1. / 4, 0, 0},
                                  {-1. / 6, -1. / 6, -1. / 6},
                                  {-1. / 6, 1. / 6, -1. / 6},
                                  {1. / 24, 1. / 12, 1. / 6},
                                  {1. / 24, -1. / 12, 1. / 6},
                                  {0, 0, 1}};
  for (size_t o = 0; o < s.outputs; ++o) {
    for (size_t c = 0; c < s.channels; ++c) {
      const float* const taps = weights.data() + (o * s.channels + c) * 9;
      double half[6][3];
      for (size_t i = 0; i < 6; ++i) {
        for (size_t x = 0; x < 3; ++x) {
          half[i][x] = 0;
          for (size_t y = 0; y < 3; ++y) half[i][x] += kInto[i][y] * static_cast<double>(taps[y * 3 + x]);
        }
      }
      for (size_t point = 0; point < kPoints; ++point) {
        double sum = 0;
        for (size_t x = 0; x < 3; ++x) sum += half[point / 6][x] * kInto[point % 6][x];
        to[((point * s.outputs / kOutputs + o / kOutputs) * s.channels + c) * kOutputs + o % kOutputs] =
            static_cast<float>(sum);
      }
    }
  }
}

void WinogradPlain(const WinogradShape& s, const float* from, std::span<const float> weights, const float* bias,
                   float* to) {
  const size_t area = s.height * s.width, out_area = s.out_height * s.out_width;
  for (size_t at = 0; at < s.images * s.outputs * out_area; ++at) {
    const size_t inner = at % kBlock, pixel = at / kBlock % out_area, block = at / kBlock / out_area;
    const size_t image = block / (s.outputs / kBlock), o = block % (s.outputs / kBlock) * kBlock + inner;
    float sum = bias == nullptr ? 0 : bias[o];
    for (size_t tap = 0; tap < 9; ++tap) {
      const size_t y = pixel / s.out_width + tap / 3 - s.top, x = pixel % s.out_width + tap % 3 - s.left;
      if (y >= s.height || x >= s.width) continue;  // below zero wraps around
      for (size_t c = 0; c < s.channels; ++c) {
        const size_t source = (image * s.channels / kBlock + c / kBlock) * area + y * s.width + x;
        sum += from[source * kBlock + c % kBlock] * weights[(o * s.channels + c) * 9 + tap];
      }
    }
    to[at] = s.activation(sum);
  }
}

#if defined(__x86_64__)
namespace {

// Where a tile lies: its image, and the first pixel of its output.
struct Place {
  size_t image, y, x;

  Place(const WinogradShape& s, size_t tile)
      : image(tile / (s.down() * s.across())), y(tile / s.across() % s.down() * 4), x(tile % s.across() * 4) {}
};

// Six numbers of the input into the space; `apart` of them lie between one and the next.
LIKENESS_WINOGRAD inline void Into(const __m256* from, size_t apart, __m256* to, size_t to_apart) {
  const __m256 two = _mm256_set1_ps(2), four = _mm256_set1_ps(4), five = _mm256_set1_ps(5);
  const __m256 a = from[0], b = from[apart], c = from[2 * apart], d = from[3 * apart], e = from[4 * apart];
  const __m256 f = from[5 * apart];
  const __m256 even = _mm256_fnmadd_ps(four, c, e), odd = _mm256_fnmadd_ps(four, b, d);
  const __m256 near = _mm256_sub_ps(e, c), far = _mm256_sub_ps(d, b);
  to[0] = _mm256_fmadd_ps(four, a, _mm256_fnmadd_ps(five, c, e));
  to[to_apart] = _mm256_add_ps(even, odd);
  to[2 * to_apart] = _mm256_sub_ps(even, odd);
  to[3 * to_apart] = _mm256_fmadd_ps(two, far, near);
  to[4 * to_apart] = _mm256_fnmadd_ps(two, far, near);
  to[5 * to_apart] = _mm256_fmadd_ps(four, b, _mm256_fnmadd_ps(five, d, f));
}

// Tiles `first`.. of the input, to [36, count, channels].
LIKENESS_WINOGRAD void Gather(const WinogradShape& s, const float* from, size_t first, size_t count, float* to) {
  const size_t point = count * s.channels;
  for (size_t tile = 0; tile < count; ++tile) {
    const Place at(s, first + tile);
    const bool inside = at.y >= s.top && at.x >= s.left && at.y - s.top + 6 <= s.height && at.x - s.left + 6 <= s.width;
    for (size_t c = 0; c < s.channels; c += kBlock) {
      const float* const plane = from + (at.image * s.channels + c) * s.height * s.width;
      __m256 pixels[kPoints], half[kPoints];
      if (inside) {
        const float* row = plane + ((at.y - s.top) * s.width + at.x - s.left) * kBlock;
        for (size_t y = 0; y < 6; ++y, row += s.width * kBlock) {
#pragma GCC unroll 6
          for (size_t x = 0; x < 6; ++x) pixels[y * 6 + x] = _mm256_load_ps(row + x * kBlock);
        }
      } else {
        for (size_t i = 0; i < kPoints; ++i) {
          const size_t y = at.y + i / 6 - s.top, x = at.x + i % 6 - s.left;  // below zero wraps around
          pixels[i] =
              y < s.height && x < s.width ? _mm256_load_ps(plane + (y * s.width + x) * kBlock) : _mm256_setzero_ps();
        }
      }
      for (size_t x = 0; x < 6; ++x) Into(pixels + x, 6, half + x, 6);
      float* const out = to + tile * s.channels + c;
      for (size_t y = 0; y < 6; ++y) {
        __m256 row[6];
        Into(half + y * 6, 1, row, 1);
#pragma GCC unroll 6
        for (size_t x = 0; x < 6; ++x) _mm256_store_ps(out + (y * 6 + x) * point, row[x]);
      }
    }
  }
}

// `Rows` tiles by sixteen outputs: from [.., channels], weights [channels, 16], to [.., 16].
template <size_t Rows>
LIKENESS_WINOGRAD inline void Multiply(const float* from, const float* weights, size_t channels, float* to) {
  __m256 sums[Rows][2];
#pragma GCC unroll 6
  for (size_t r = 0; r < Rows; ++r) sums[r][0] = sums[r][1] = _mm256_setzero_ps();
  for (size_t c = 0; c < channels; ++c, weights += kOutputs) {
    const __m256 low = _mm256_load_ps(weights), high = _mm256_load_ps(weights + 8);
#pragma GCC unroll 6
    for (size_t r = 0; r < Rows; ++r) {
      const __m256 input = _mm256_broadcast_ss(from + r * channels + c);
      sums[r][0] = _mm256_fmadd_ps(input, low, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(input, high, sums[r][1]);
    }
  }
#pragma GCC unroll 6
  for (size_t r = 0; r < Rows; ++r) {
    _mm256_store_ps(to + r * kOutputs, sums[r][0]);
    _mm256_store_ps(to + r * kOutputs + 8, sums[r][1]);
  }
}

// [count, channels] by [outputs / 16, channels, 16] to [outputs / 16, count, 16].
LIKENESS_WINOGRAD void MultiplyAll(const WinogradShape& s, const float* from, const float* weights, size_t count,
                                   float* to) {
  for (size_t o = 0; o < s.outputs; o += kOutputs, weights += s.channels * kOutputs, to += count * kOutputs) {
    size_t row = 0;
    for (; row + 6 <= count; row += 6) Multiply<6>(from + row * s.channels, weights, s.channels, to + row * kOutputs);
    const float* const rest = from + row * s.channels;
    float* const out = to + row * kOutputs;
    switch (count - row) {
      case 5:
        Multiply<5>(rest, weights, s.channels, out);
        break;
      case 4:
        Multiply<4>(rest, weights, s.channels, out);
        break;
      case 3:
        Multiply<3>(rest, weights, s.channels, out);
        break;
      case 2:
        Multiply<2>(rest, weights, s.channels, out);
        break;
      case 1:
        Multiply<1>(rest, weights, s.channels, out);
        break;
      default:
        break;
    }
  }
}

// Six numbers of the space into four of the output.
LIKENESS_WINOGRAD inline void OutOf(const __m256* from, size_t apart, __m256* to, size_t to_apart) {
  const __m256 two = _mm256_set1_ps(2), four = _mm256_set1_ps(4), eight = _mm256_set1_ps(8);
  const __m256 a = _mm256_add_ps(from[apart], from[2 * apart]), b = _mm256_sub_ps(from[apart], from[2 * apart]);
  const __m256 c = _mm256_add_ps(from[3 * apart], from[4 * apart]), d = _mm256_sub_ps(from[3 * apart], from[4 * apart]);
  to[0] = _mm256_add_ps(_mm256_add_ps(from[0], a), c);
  to[to_apart] = _mm256_fmadd_ps(two, d, b);
  to[2 * to_apart] = _mm256_fmadd_ps(four, c, a);
  to[3 * to_apart] = _mm256_add_ps(_mm256_fmadd_ps(eight, d, b), from[5 * apart]);
}

// Products [36, outputs / 16, count, 16] to the tiles `first`.. of the output.
LIKENESS_WINOGRAD void Scatter(const WinogradShape& s, const float* from, size_t first, size_t count, const float* bias,
                               float* to) {
  const size_t point = count * s.outputs;
  const bool relu = s.activation.kind == Activation::Kind::kRelu;
  const __m256 zero = _mm256_setzero_ps();
  for (size_t tile = 0; tile < count; ++tile) {
    const Place at(s, first + tile);
    const size_t rows = std::min<size_t>(4, s.out_height - at.y), columns = std::min<size_t>(4, s.out_width - at.x);
    for (size_t o = 0; o < s.outputs; o += kBlock) {
      const float* const products = from + (o / kOutputs * count + tile) * kOutputs + o % kOutputs;
      const __m256 added = bias == nullptr ? zero : _mm256_loadu_ps(bias + o);
      __m256 half[24];
      for (size_t x = 0; x < 6; ++x) {
        __m256 column[6];
#pragma GCC unroll 6
        for (size_t y = 0; y < 6; ++y) column[y] = _mm256_load_ps(products + (y * 6 + x) * point);
        OutOf(column, 1, half + x, 6);
      }
      float* row =
          to + ((at.image * s.outputs / kBlock + o / kBlock) * s.out_height * s.out_width + at.y * s.out_width + at.x) *
                   kBlock;
      for (size_t y = 0; y < rows; ++y, row += s.out_width * kBlock) {
        __m256 out[4];
        OutOf(half + y * 6, 1, out, 1);
        for (size_t x = 0; x < columns; ++x) {
          const __m256 sum = _mm256_add_ps(out[x], added);
          _mm256_store_ps(row + x * kBlock, relu ? _mm256_max_ps(sum, zero) : sum);
        }
      }
    }
  }
}

}  // namespace

void Winograd(const WinogradShape& s, const float* from, const float* weights, const float* bias, float* scratch,
              float* to) {
  ShareWork(s.threads, [&](size_t thread) {
    const Share tiles = ShareOf(s.tiles(), 1, thread, s.threads);
    float* const inputs = scratch + thread * s.thread_scratch();
    float* const products = inputs + kPoints * s.chunk() * s.channels;
    for (size_t first = tiles.first; first < tiles.last; first += s.chunk()) {
      const size_t count = std::min(s.chunk(), tiles.last - first);
      Gather(s, from, first, count, inputs);
      for (size_t point = 0; point < kPoints; ++point) {
        MultiplyAll(s, inputs + point * count * s.channels, weights + point * s.channels * s.outputs, count,
                    products + point * count * s.outputs);
      }
      Scatter(s, products, first, count, bias, to);
    }
  });
}
#else
void Winograd(const WinogradShape&, const float*, const float*, const float*, float*, float*) {}  // AVX2 needs x86-64
#endif

}  // namespace likeness
