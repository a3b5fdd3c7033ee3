#include "infer/layer_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

namespace likeness {
namespace {

// The loops are written for the compiler to vectorise; it makes one version of each for each kind of processor.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define LIKENESS_CLONES __attribute__((target_clones("default", "arch=haswell", "arch=skylake-avx512"), optimize("O3")))
#else
#define LIKENESS_CLONES
#endif

inline float ToFloat(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }
inline float ToFloat(float value) { return value; }

// Rounds to the nearest, ties to even. A NaN stays one.
inline uint16_t ToBf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>(value != value ? bits >> 16 | 0x40 : rounded);
}
inline void Store(float value, uint16_t& to) { to = ToBf16(value); }
inline void Store(float value, float& to) { to = value; }

LIKENESS_CLONES void Pack3(const float* from, uint16_t* to, size_t area) {
  for (size_t p = 0; p < area; ++p) {
    for (size_t c = 0; c < 3; ++c) to[p * 3 + c] = ToBf16(from[c * area + p]);
  }
}

LIKENESS_CLONES void Pack3(const float* from, float* to, size_t area) {
  for (size_t p = 0; p < area; ++p) {
    for (size_t c = 0; c < 3; ++c) to[p * 3 + c] = from[c * area + p];
  }
}

LIKENESS_CLONES void Widen(const uint16_t* from, float* to, size_t count) {
  for (size_t i = 0; i < count; ++i) to[i] = ToFloat(from[i]);
}
LIKENESS_CLONES void Narrow(const float* from, uint16_t* to, size_t count) {
  for (size_t i = 0; i < count; ++i) to[i] = ToBf16(from[i]);
}
LIKENESS_CLONES void Accumulate(const uint16_t* from, float* sums, size_t count) {
  for (size_t i = 0; i < count; ++i) sums[i] += ToFloat(from[i]);
}
LIKENESS_CLONES void Accumulate(const float* from, float* sums, size_t count) {
  for (size_t i = 0; i < count; ++i) sums[i] += from[i];
}
LIKENESS_CLONES void Multiply(const uint16_t* from, const float* factors, uint16_t* to, size_t count) {
  for (size_t i = 0; i < count; ++i) to[i] = ToBf16(ToFloat(from[i]) * factors[i]);
}
LIKENESS_CLONES void Multiply(const float* from, const float* factors, float* to, size_t count) {
  for (size_t i = 0; i < count; ++i) to[i] = from[i] * factors[i];
}
LIKENESS_CLONES void Square(const float* from, float* to, size_t count) {
  for (size_t i = 0; i < count; ++i) to[i] = from[i] * from[i];
}
LIKENESS_CLONES void AddTo(const float* from, float* to, size_t count) {
  for (size_t i = 0; i < count; ++i) to[i] += from[i];
}
// values / (shift + scale * sums) ^ 0.75, by square roots.
LIKENESS_CLONES void DivideByPower(float* values, const float* sums, float shift, float scale, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const float root = std::sqrt(shift + scale * sums[i]);
    values[i] /= root * std::sqrt(root);
  }
}

void Load(const float* from, float* to, size_t count) { std::copy_n(from, count, to); }
void Load(const uint16_t* from, float* to, size_t count) { Widen(from, to, count); }
void Save(const float* from, float* to, size_t count) { std::copy_n(from, count, to); }
void Save(const float* from, uint16_t* to, size_t count) { Narrow(from, to, count); }

template <typename Element>
void Pack(const float* from, Element* to, const ImageLayout& l) {
  for (size_t n = 0; n < l.images; ++n, from += l.channels * l.area) {
    for (size_t b = 0; b < l.blocks(); ++b) {
      Element* block = to + (n * l.blocks() + b) * l.area * l.block;
      if (l.block == 3 && l.channels == 3) {
        Pack3(from, block, l.area);
        continue;
      }
      for (size_t c = 0; c < l.block; ++c) {
        const size_t channel = b * l.block + c;
        for (size_t p = 0; p < l.area; ++p) {
          Store(channel < l.channels ? from[channel * l.area + p] : 0.f, block[p * l.block + c]);
        }
      }
    }
  }
}

template <typename Element>
void Average(const Element* from, const ImageLayout& l, void* to, bool to_bf16) {
  std::vector<float> sums(l.block);
  const float factor = 1 / static_cast<float>(l.area);
  for (size_t n = 0; n < l.images; ++n) {
    for (size_t b = 0; b < l.blocks(); ++b) {
      std::ranges::fill(sums, 0.f);
      if (l.block == 1) {
        for (size_t p = 0; p < l.area; ++p) sums[0] += ToFloat(*from++);
      } else {
        for (size_t p = 0; p < l.area; ++p, from += l.block) Accumulate(from, sums.data(), l.block);
      }
      for (float& sum : sums) sum *= factor;
      const size_t at = n * l.channels + b * l.block, count = std::min(l.block, l.channels - b * l.block);
      if (to_bf16) {
        Narrow(sums.data(), static_cast<uint16_t*>(to) + at, count);
      } else {
        std::copy_n(sums.data(), count, static_cast<float*>(to) + at);
      }
    }
  }
}

template <typename Element>
void Scale(const Element* from, const Element* factors, const ImageLayout& l, Element* to) {
  std::vector<float> wide(l.blocks() * l.block);
  for (size_t n = 0; n < l.images; ++n) {
    Load(factors + n * l.channels, wide.data(), l.channels);
    for (size_t b = 0; b < l.blocks(); ++b) {
      const float* block = wide.data() + b * l.block;
      if (l.block == 1) {
        for (size_t p = 0; p < l.area; ++p) Store(ToFloat(*from++) * *block, *to++);
        continue;
      }
      for (size_t p = 0; p < l.area; ++p, from += l.block, to += l.block) Multiply(from, block, to, l.block);
    }
  }
}

template <typename Element>
void Normalize(const Element* from, const ImageLayout& l, const Step& step, Element* to) {
  const size_t half = static_cast<size_t>(step.window) / 2, channels = l.channels;
  // One pixel's channels with zeros around them, so that the window needs no edges.
  std::vector<float> values(channels), squares(channels + 2 * half), sums(channels);
  const float scale = step.scale / static_cast<float>(step.window);
  for (size_t n = 0; n < l.images; ++n) {
    for (size_t p = 0; p < l.area; ++p) {
      const auto at = [&](size_t b) { return ((n * l.blocks() + b) * l.area + p) * l.block; };
      const auto count = [&](size_t b) { return std::min(l.block, channels - b * l.block); };
      for (size_t b = 0; b < l.blocks(); ++b) Load(from + at(b), values.data() + b * l.block, count(b));
      Square(values.data(), squares.data() + half, channels);
      std::ranges::fill(sums, 0.f);
      for (size_t w = 0; w <= 2 * half; ++w) AddTo(squares.data() + w, sums.data(), channels);
      if (step.power == 0.75f) {
        DivideByPower(values.data(), sums.data(), step.shift, scale, channels);
      } else {
        for (size_t c = 0; c < channels; ++c) values[c] /= std::pow(step.shift + scale * sums[c], step.power);
      }
      for (size_t b = 0; b < l.blocks(); ++b) {
        Save(values.data() + b * l.block, to + at(b), count(b));
        std::fill(to + at(b) + count(b), to + at(b) + l.block, Element{0});
      }
    }
  }
}

}  // namespace

void PackImages(const float* from, void* to, const ImageLayout& layout) {
  layout.bf16 ? Pack(from, static_cast<uint16_t*>(to), layout) : Pack(from, static_cast<float*>(to), layout);
}

void AverageArea(const void* from, const ImageLayout& layout, void* to, bool to_bf16) {
  layout.bf16 ? Average(static_cast<const uint16_t*>(from), layout, to, to_bf16)
              : Average(static_cast<const float*>(from), layout, to, to_bf16);
}

void ScaleChannels(const void* from, const void* factors, const ImageLayout& layout, void* to) {
  if (layout.bf16) {
    Scale(static_cast<const uint16_t*>(from), static_cast<const uint16_t*>(factors), layout,
          static_cast<uint16_t*>(to));
  } else {
    Scale(static_cast<const float*>(from), static_cast<const float*>(factors), layout, static_cast<float*>(to));
  }
}

void NormalizeChannels(const void* from, const ImageLayout& layout, const Step& step, void* to) {
  layout.bf16 ? Normalize(static_cast<const uint16_t*>(from), layout, step, static_cast<uint16_t*>(to))
              : Normalize(static_cast<const float*>(from), layout, step, static_cast<float*>(to));
}

void JoinChannels(std::span<const ChannelPart> parts, size_t pixels, size_t element, void* to) {
  auto* out = static_cast<std::byte*>(to);
  size_t row = 0;
  for (const ChannelPart& part : parts) row += part.channels * element;
  for (const ChannelPart& part : parts) {
    const size_t bytes = part.channels * element;
    const auto* from = static_cast<const std::byte*>(part.data);
    for (size_t p = 0; p < pixels; ++p) std::memcpy(out + p * row, from + p * bytes, bytes);
    out += bytes;
  }
}

void SoftmaxRows(float* values, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; ++r, values += columns) {
    const float top = *std::max_element(values, values + columns);
    double sum = 0;
    for (size_t i = 0; i < columns; ++i) sum += static_cast<double>(values[i] = std::exp(values[i] - top));
    for (size_t i = 0; i < columns; ++i) values[i] = static_cast<float>(static_cast<double>(values[i]) / sum);
  }
}

}  // namespace likeness
