#include "infer/tile_convolution.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "infer/share_work.h"
#include "infer/tiles.h"

// The rows of the input that a band of the output looks at are copied, padding and all, into planes of 32 channels, one
// line of the cache a pixel. A tile of input is then up to 16 such lines, and the tiles of neighboring taps are mostly
// the same lines, so that they come from the first cache. Two tiles of pixels by two of 16 outputs are summed at once.
// Weights stream from the second cache.
//
// A first layer has fewer channels. There a line holds all that a pixel of the output looks at, and there is one tap.
// That is so little to multiply that f32 can be had: a number is the sum of two of bf16, and of the four products the
// three that count are summed.
//
// The multiplier of tiles is what should be busy all the time, so everything else is done a little at a time between
// its steps: what the sums before become, and the fetching of the weights and rows that come next.
namespace likeness {
namespace {

constexpr size_t kChannels = 32;                   // of a tile of input
constexpr size_t kOutputs = 32;                    // of two tiles of weights
constexpr size_t kLine = 64;                       // bytes
constexpr size_t kSums = 256;                      // of a tile
constexpr size_t kBandBytes = size_t{960} << 10;   // of a band's planes
constexpr size_t kPatchBytes = size_t{128} << 10;  // where a line is a patch: what comes of it is larger
constexpr size_t kStreamBytes = size_t{3} << 20;   // of an image that comes out: more than the caches keep
constexpr size_t kPatchLines = 3;                  // rest by weight, number by weight, number by the weight's rest

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

size_t TileConvolutionShape::depth() const {
  return patches() ? kPatchLines * kChannels : channels * kernel_height * kernel_width;
}

size_t TileConvolutionShape::tile() const {
  const size_t tiles = (out_width + 15) / 16, tile = (out_width + tiles - 1) / tiles;
  return pool ? tile + tile % 2 : tile;
}

size_t TileConvolutionShape::band() const {
  const size_t even = pool ? 2 : 1;
  size_t most = 0;
  if (patches()) {
    most = kPatchBytes / (2 * out_width * kLine);
  } else {
    const size_t line = row() * channels * sizeof(uint16_t);
    most = (std::max(kBandBytes / line, kernel_height + stride_height) - kernel_height) / stride_height;
  }
  most = std::max(most / even * even, even);
  const size_t bands = (out_height + most - 1) / most, rows = (out_height + bands - 1) / bands;
  return (rows + even - 1) / even * even;
}

size_t TileConvolutionShape::thread_scratch() const {
  const size_t bytes =
      patches() ? 2 * (band() * out_width * kLine + (row() * channels * lines() + kChannels) * sizeof(uint16_t))
                : lines() * row() * channels * sizeof(uint16_t);
  return (bytes + kLine - 1) / kLine * kLine;
}

void TileWeights(const TileConvolutionShape& s, std::span<const float> weights, uint16_t* to) {
  const size_t taps = s.kernel_height * s.kernel_width;
  const auto weight = [&](size_t output, size_t channel, size_t tap) {
    return weights[(output * s.channels + channel) * taps + tap];
  };
  // Of line `line` and tap `tap`, the one at `within`.
  const auto narrow = [&](size_t output, size_t line, size_t tap, size_t within) -> uint16_t {
    if (!s.patches()) return Narrowed(weight(output, line * kChannels + within, tap));
    if (within >= s.channels * taps) return 0;
    const float wide = weight(output, within % s.channels, within / s.channels);
    const uint16_t most = Narrowed(wide);
    return line < 2 ? most : Narrowed(wide - Widened(most));
  };
  const size_t lines = s.patches() ? kPatchLines : s.channels / kChannels;
  for (size_t o = 0; o < s.outputs; o += kOutputs) {
    for (size_t line = 0; line < lines; ++line) {
      for (size_t tap = 0; tap < (s.patches() ? 1 : taps); ++tap) {
        for (size_t i = 0; i < kOutputs * kChannels; ++i) {  // [2, 16 pairs of channels, 16 outputs, 2 channels]
          *to++ = narrow(o + i / 512 * 16 + i / 2 % 16, line, tap, i % 512 / 32 * 2 + i % 2);
        }
      }
    }
  }
}

void TileConvolutionPlain(const TileConvolutionShape& s, const void* from, std::span<const float> weights,
                          const TileValues& values, void* to) {
  const size_t taps = s.kernel_height * s.kernel_width, side = s.pool ? 2 : 1;
  const size_t height = s.out_height / side, width = s.out_width / side;
  const auto input = [&](size_t at) {
    return s.patches() ? static_cast<const float*>(from)[at] : Widened(static_cast<const uint16_t*>(from)[at]);
  };
  const auto value = [&](size_t image, size_t y, size_t x, size_t o) {
    float sum = values.bias == nullptr ? 0 : values.bias[o];
    for (size_t tap = 0; tap < taps; ++tap) {
      const size_t row = y * s.stride_height + tap / s.kernel_width - s.top;
      const size_t column = x * s.stride_width + tap % s.kernel_width - s.left;
      const bool inside = row < s.height && column < s.width;  // below zero wraps around
      if (!inside && (values.around == nullptr || s.patches())) continue;
      for (size_t c = 0; c < s.channels; ++c) {
        const size_t at = ((image * s.height + row) * s.width + column) * s.channels + c;
        sum += (inside ? input(at) : Widened(values.around[c])) * weights[(o * s.channels + c) * taps + tap];
      }
    }
    if (s.activation.kind == Activation::Kind::kNone) return sum;
    return std::max(sum, values.least == nullptr ? 0 : values.least[o]);
  };
  for (size_t at = 0; at < s.images * height * width * s.outputs; ++at) {
    const size_t o = at % s.outputs, x = at / s.outputs % width, y = at / s.outputs / width % height;
    const size_t image = at / s.outputs / width / height;
    float most = -std::numeric_limits<float>::infinity();
    for (size_t i = 0; i < side * side; ++i) {
      most = std::max(most, value(image, y * side + i / side, x * side + i % side, o));
    }
    if (s.bf16) {
      static_cast<uint16_t*>(to)[at] = Narrowed(most);
    } else {
      static_cast<float*>(to)[at] = most;
    }
  }
}

#if defined(__x86_64__)
namespace {

// Rows `first`.. of the padded image, in planes. `around`: what the padding holds; null: zeros.
LIKENESS_TILES void CopyRows(const TileConvolutionShape& s, const uint16_t* image, const uint16_t* around, size_t first,
                             size_t lines, std::byte* planes) {
  const size_t row = s.row(), plane = lines * row * kLine;
  for (size_t r = 0; r < lines; ++r) {
    const size_t y = first + r - s.top;  // below zero wraps around
    for (size_t i = 0; i < row; ++i) {
      const size_t x = i - s.left;
      std::byte* to = planes + (r * row + i) * kLine;
      if (y >= s.height || x >= s.width) {
        for (size_t c = 0; c < s.channels; c += kChannels, to += plane) {
          _mm512_store_si512(to, around == nullptr ? _mm512_setzero_si512() : _mm512_loadu_si512(around + c));
        }
        continue;
      }
      const uint16_t* from = image + (y * s.width + x) * s.channels;
      for (size_t c = 0; c < s.channels; c += kChannels, to += plane, from += kChannels) {
        _mm512_store_si512(to, _mm512_loadu_si512(from));
      }
    }
  }
}

// The padded row `y` of the image, taken apart: [row] and the rests [row].
LIKENESS_TILES void SplitRow(const TileConvolutionShape& s, const float* image, size_t y, uint16_t* most,
                             uint16_t* rest) {
  const size_t row = s.row() * s.channels, before = s.left * s.channels;
  std::fill_n(most, row, uint16_t{0});
  std::fill_n(rest, row, uint16_t{0});
  if (y >= s.height) return;
  const float* const from = image + y * s.width * s.channels;
  const size_t count = std::min(s.width * s.channels, row - before);
  for (size_t i = 0; i < count; i += 16) {
    const auto mask = static_cast<__mmask16>(count - i >= 16 ? 0xffff : (1u << (count - i)) - 1);
    const __m512 wide = _mm512_maskz_loadu_ps(mask, from + i);
    const __m256bh narrow = _mm512_cvtneps_pbh(wide);
    __m256i bits;
    std::memcpy(&bits, &narrow, sizeof(bits));
    const __m512 again = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
    _mm256_mask_storeu_epi16(most + before + i, mask, bits);
    const __m256bh left = _mm512_cvtneps_pbh(_mm512_sub_ps(wide, again));
    std::memcpy(&bits, &left, sizeof(bits));
    _mm256_mask_storeu_epi16(rest + before + i, mask, bits);
  }
}

// What each pixel of `rows` rows of the output looks at, [kernel height, kernel width, channels] and zeros: a plane of
// rests, and one of the numbers. The rows of the image are taken apart behind them first.
LIKENESS_TILES void CopyPatches(const TileConvolutionShape& s, const float* image, size_t first, size_t rows,
                                std::byte* planes) {
  const size_t row = s.row() * s.channels, lines = (rows - 1) * s.stride_height + s.kernel_height;
  const size_t across = s.kernel_width * s.channels, plane = rows * s.out_width * kChannels;
  auto* line = reinterpret_cast<uint16_t*>(planes);
  uint16_t *const rests = line + 2 * plane, *const numbers = rests + lines * row + kChannels;
  for (size_t r = 0; r < lines; ++r) {
    SplitRow(s, image, first + r - s.top, numbers + r * row, rests + r * row);  // a row below zero wraps around
  }
  const auto mask = static_cast<__mmask32>((uint64_t{1} << across) - 1);
  for (const uint16_t* const padded : {rests, numbers}) {
    for (size_t y = 0; y < rows; ++y) {
      for (size_t x = 0; x < s.out_width; ++x, line += kChannels) {
        const uint16_t* patch = padded + y * s.stride_height * row + x * s.stride_width * s.channels;
        __m512i all = _mm512_setzero_si512();
        for (size_t ky = 0, at = 0; ky < s.kernel_height; ++ky, at += across, patch += row - across) {
          all = _mm512_mask_loadu_epi16(all, mask << at, patch);  // what lies before the row is not read
        }
        _mm512_store_si512(line, all);
      }
    }
  }
}

// Memory that is fetched into the second cache before it is needed, a few lines at each step.
struct Ahead {
  const std::byte *at = nullptr, *end = nullptr;
  size_t each = 0;

  // `bytes` over `steps`.
  void Start(const void* from, size_t bytes, size_t steps) {
    at = static_cast<const std::byte*>(from);
    end = at + bytes;
    each = (bytes / kLine + steps - 1) / steps;
  }
  LIKENESS_TILES void Step() {
    for (size_t i = 0; i < each && at < end; ++i, at += kLine) _mm_prefetch(at, _MM_HINT_T1);
  }
};

// Sums of two tiles of pixels and 32 outputs that have yet to become what they are for.
struct Pending {
  const float* sums = nullptr;  // [2, 2, 16, 16]
  std::byte* to[2] = {};        // of the first pixel of each tile; pooled: the first alone
  size_t row = 0, rows = 0;     // done, and all
  const float *bias = nullptr, *least = nullptr;
};

class Band {
 public:
  Band(const TileConvolutionShape& s, const uint16_t* weights, const TileValues& values, const void* to)
      : s_(s), weights_(weights), values_(values), relu_(s.activation.kind == Activation::Kind::kRelu) {
    const size_t bytes = s.out_height * s.out_width * s.outputs * sizeof(uint16_t) / (s.pool ? 4 : 1);
    stream_ = bytes >= kStreamBytes && reinterpret_cast<uintptr_t>(to) % kLine == 0;
    pixel_ = s.outputs * (s.bf16 ? 2 : 4);
    lines_ = s.patches() ? kPatchLines : s.channels / kChannels;
    kernel_height_ = s.patches() ? 1 : s.kernel_height;
    kernel_width_ = s.patches() ? 1 : s.kernel_width;
    row_ = (s.patches() ? s.out_width : s.row()) * kLine;
    down_ = s.patches() ? row_ : s.stride_height * row_;
    apart_ = s.patches() ? kLine : s.stride_width * kLine;
    steps_ = lines_ * kernel_height_ * kernel_width_;
    each_ = (s.tile() + steps_ - 1) / steps_;
  }

  // The rows of a band and a share of the outputs, from planes to `to`, the band's first pixel. `next`: the input of
  // the band after it.
  LIKENESS_TILES void Run(const std::byte* planes, size_t rows, const Share& outputs, std::byte* to,
                          std::span<const std::byte> next) {
    const size_t tile = s_.tile(), across = (s_.out_width + tile - 1) / tile, tiles = rows * across;
    const size_t plane = s_.patches() ? rows * row_ : ((rows - 1) * s_.stride_height + s_.kernel_height) * row_;
    const size_t pairs = (tiles + 1) / 2, block = kOutputs * kChannels * steps_;
    rows_.Start(next.data(), next.size(),
                std::max<size_t>(pairs * ((outputs.last - outputs.first) / kOutputs) * steps_ * 3 / 4, 1));
    for (size_t output = outputs.first; output < outputs.last; output += kOutputs) {
      const uint16_t* const part = weights_ + output / kOutputs * block;
      const bool more = s_.outputs * steps_ * kChannels >= size_t{1} << 19 && output + kOutputs < outputs.last;
      blocks_.Start(part + block, more ? block * sizeof(uint16_t) : 0, pairs * steps_);
      std::byte* const first = to + output * (s_.bf16 ? 2 : 4);
      for (size_t p = 0; p < pairs; ++p) {
        const std::byte* from[2];
        Pending now{.sums = sums_[turn_],
                    .rows = s_.pool ? tile / 2 : tile,
                    .bias = values_.bias ? values_.bias + output : nullptr,
                    .least = values_.least ? values_.least + output : nullptr};
        for (const size_t i : {0, 1}) {
          const size_t t = s_.pool ? p : std::min(2 * p + i, tiles - 1);
          const size_t x = std::min(t % across * tile, s_.out_width - tile);
          const size_t y = s_.pool ? t / across * 2 + i : t / across;
          from[i] = planes + y * down_ + x * apart_;
          now.to[i] = first + (s_.pool ? y / 2 * (s_.out_width / 2) + x / 2 : y * s_.out_width + x) * pixel_;
        }
        Sum(from, part, plane);
        Finish();
        pending_ = now;
        turn_ = 1 - turn_;
      }
    }
  }

  LIKENESS_TILES void Finish() {
    while (pending_.row < pending_.rows) FinishRow();
  }

 private:
  // To sums_[turn_].
  LIKENESS_TILES inline void Sum(const std::byte* const* from, const uint16_t* weights, size_t plane) {
    const std::byte *a = from[0], *b = from[1];
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t line = 0; line < lines_; ++line) {
      for (size_t y = 0; y < kernel_height_; ++y) {
        for (size_t x = 0; x < kernel_width_; ++x, weights += kOutputs * kChannels) {
          const size_t tap = y * row_ + x * kLine;
          _tile_loadd(6, weights, kLine);
          _tile_loadd(4, a + tap, apart_);
          _tile_loadd(7, weights + kOutputs * kChannels / 2, kLine);
          _tile_loadd(5, b + tap, apart_);
          _tile_dpbf16ps(0, 4, 6);
          _tile_dpbf16ps(1, 4, 7);
          _tile_dpbf16ps(2, 5, 6);
          _tile_dpbf16ps(3, 5, 7);
          for (size_t i = 0; i < each_ && pending_.row < pending_.rows; ++i) FinishRow();
          blocks_.Step();
          rows_.Step();
        }
      }
      if (s_.patches() && line > 0) continue;  // the numbers are multiplied twice
      a += plane, b += plane;
    }
    float* const sums = sums_[turn_];
    _tile_stored(0, sums, kLine);
    _tile_stored(1, sums + kSums, kLine);
    _tile_stored(2, sums + 2 * kSums, kLine);
    _tile_stored(3, sums + 3 * kSums, kLine);
  }

  LIKENESS_TILES inline void Put(__m512 low, __m512 high, std::byte* to) const {
    if (pending_.bias != nullptr) {
      low = _mm512_add_ps(low, _mm512_loadu_ps(pending_.bias));
      high = _mm512_add_ps(high, _mm512_loadu_ps(pending_.bias + 16));
    }
    if (relu_) {
      const bool zero = pending_.least == nullptr;
      low = _mm512_max_ps(low, zero ? _mm512_setzero_ps() : _mm512_loadu_ps(pending_.least));
      high = _mm512_max_ps(high, zero ? _mm512_setzero_ps() : _mm512_loadu_ps(pending_.least + 16));
    }
    if (s_.bf16) {
      const __m512bh narrow = _mm512_cvtne2ps_pbh(high, low);
      __m512i bits;
      std::memcpy(&bits, &narrow, sizeof(bits));
      stream_ ? _mm512_stream_si512(reinterpret_cast<__m512i*>(to), bits) : _mm512_storeu_si512(to, bits);
    } else {
      _mm512_storeu_ps(to, low);
      _mm512_storeu_ps(to + kLine, high);
    }
  }

  // One pixel of each tile; or the largest of two of each, which is that of what they become as well.
  LIKENESS_TILES inline void FinishRow() {
    const size_t row = pending_.row++;
    if (s_.pool) {
      const auto most = [&](const float* at) LIKENESS_TILES {
        const __m512 above = _mm512_max_ps(_mm512_load_ps(at), _mm512_load_ps(at + 16));
        const __m512 below = _mm512_max_ps(_mm512_load_ps(at + 2 * kSums), _mm512_load_ps(at + 2 * kSums + 16));
        return _mm512_max_ps(above, below);
      };
      const float* const at = pending_.sums + row * 32;
      Put(most(at), most(at + kSums), pending_.to[0] + row * pixel_);
      return;
    }
    const float* const at = pending_.sums + row * 16;
    Put(_mm512_load_ps(at), _mm512_load_ps(at + kSums), pending_.to[0] + row * pixel_);
    Put(_mm512_load_ps(at + 2 * kSums), _mm512_load_ps(at + 3 * kSums), pending_.to[1] + row * pixel_);
  }

  const TileConvolutionShape& s_;
  const uint16_t* const weights_;
  const TileValues values_;
  const bool relu_;
  bool stream_;                                          // past the caches
  size_t pixel_;                                         // bytes of the output
  size_t lines_, kernel_height_, kernel_width_, steps_;  // of one sum
  size_t row_, down_, apart_;                            // bytes from row to row, output's row, output's pixel
  size_t each_;                                          // pixels finished at a step
  size_t turn_ = 0;
  Pending pending_;
  Ahead blocks_, rows_;
  alignas(64) float sums_[2][4 * kSums];
};

// What one thread does: some images, some rows of each, some of its outputs.
struct Piece {
  Share images, rows, outputs;
};

Piece PieceOf(const TileConvolutionShape& s, size_t thread) {
  constexpr size_t kSmall = 28 * 28;  // the weights are more than the pixels
  Piece piece{{0, s.images}, {0, s.out_height}, {0, s.outputs}};
  if (s.images % s.threads == 0) {
    piece.images = ShareOf(s.images, 1, thread, s.threads);
  } else if (s.out_height * s.out_width <= kSmall && s.outputs >= s.threads * kOutputs) {
    piece.outputs = ShareOf(s.outputs, kOutputs, thread, s.threads);
  } else {
    piece.rows = ShareOf(s.out_height, s.pool ? 2 : 1, thread, s.threads);
  }
  return piece;
}

LIKENESS_TILES void ConvolvePiece(const TileConvolutionShape& s, const Piece& piece, const void* from,
                                  const uint16_t* weights, const TileValues& values, std::byte* scratch, void* to) {
  const size_t side = s.pool ? 2 : 1, line = s.width * s.channels * (s.patches() ? 4 : 2);
  const size_t out_row = s.out_width / side * s.outputs * (s.bf16 ? 2 : 4), image_bytes = s.height * line;
  const auto* const images = static_cast<const std::byte*>(from);
  TileShapes shapes;
  for (const size_t i : {0, 1, 2, 3, 4, 5}) shapes.rows[i] = static_cast<uint8_t>(s.tile());
  TakeTiles(shapes);
  Band band(s, weights, values, to);
  for (size_t image = piece.images.first; image < piece.images.last; ++image) {
    const std::byte* const at = images + image * image_bytes;
    for (size_t top = piece.rows.first; top < piece.rows.last; top += s.band()) {
      const size_t rows = std::min(s.band(), piece.rows.last - top), first = top * s.stride_height;
      s.patches() ? CopyPatches(s, reinterpret_cast<const float*>(at), first, rows, scratch)
                  : CopyRows(s, reinterpret_cast<const uint16_t*>(at), values.around, first,
                             (rows - 1) * s.stride_height + s.kernel_height, scratch);
      Stored();
      const size_t done = std::min((first + rows * s.stride_height) * line, image_bytes);
      const size_t left = (s.images - image) * image_bytes - done;
      band.Run(scratch, rows, piece.outputs,
               static_cast<std::byte*>(to) + (image * s.out_height + top) / side * out_row,
               {at + done, std::min(left, rows * s.stride_height * line)});
    }
  }
  band.Finish();
  _mm_sfence();
  ReleaseTiles();
}

}  // namespace

void TileConvolution(const TileConvolutionShape& s, const void* from, const uint16_t* weights, const TileValues& values,
                     std::byte* scratch, void* to) {
  ShareWork(s.threads, [&](size_t thread) {
    ConvolvePiece(s, PieceOf(s, thread), from, weights, values, scratch + thread * s.thread_scratch(), to);
  });
}
#else
void TileConvolution(const TileConvolutionShape&, const void*, const uint16_t*, const TileValues&, std::byte*, void*) {}
#endif

}  // namespace likeness
