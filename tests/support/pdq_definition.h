// The perceptual hash PDQ as its publication defines it, in double precision: average, average, pick, transform,
// compare. The slow twin of feature/hash.h.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <numbers>
#include <vector>

#include "feature/hash.h"
#include "image/pixels.h"

namespace likeness {

struct PdqTwin {
  std::array<bool, 256> bits;
  int quality = 0;
};

inline PdqTwin PdqByDefinition(const Pixels& pixels) {
  const auto width = static_cast<int>(pixels.width), height = static_cast<int>(pixels.height);
  std::vector<double> luma;
  for (size_t i = 0; i < pixels.rgb.size(); i += 3) {
    luma.push_back(0.299 * pixels.rgb[i] + 0.587 * pixels.rgb[i + 1] + 0.114 * pixels.rgb[i + 2]);
  }
  const auto average = [&](int length, int lines, int step, int line_step) {
    const int window = (length + 127) / 128, ahead = (window + 2) / 2 - 1, behind = window - 1 - ahead;
    std::vector<double> out(luma.size());
    for (int line = 0; line < lines; ++line) {
      for (int i = 0; i < length; ++i) {
        const int from = std::max(0, i - behind), to = std::min(length - 1, i + ahead);
        double sum = 0;
        for (int k = from; k <= to; ++k) sum += luma[static_cast<size_t>(line * line_step + k * step)];
        out[static_cast<size_t>(line * line_step + i * step)] = sum / (to - from + 1);
      }
    }
    luma = out;
  };
  for (int pass = 0; pass < 2; ++pass) {
    average(width, height, 1, width);
    average(height, width, width, 1);
  }
  double small[64][64];
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 64; ++x) {
      const int row = static_cast<int>((y + 0.5) * height / 64), column = static_cast<int>((x + 0.5) * width / 64);
      small[y][x] = luma[static_cast<size_t>(row * width + column)];
    }
  }
  PdqTwin twin;
  int steps = 0;
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 64; ++x) {
      if (y < 63) steps += std::abs(static_cast<int>((small[y][x] - small[y + 1][x]) * 100 / 255));
      if (x < 63) steps += std::abs(static_cast<int>((small[y][x] - small[y][x + 1]) * 100 / 255));
    }
  }
  twin.quality = std::min(100, steps / 90);
  std::vector<double> coefficients;
  for (int u = 1; u <= 16; ++u) {
    for (int v = 1; v <= 16; ++v) {
      double sum = 0;
      for (int y = 0; y < 64; ++y) {
        double row = 0;
        for (int x = 0; x < 64; ++x) row += small[y][x] * std::cos(std::numbers::pi / 128 * v * (2 * x + 1));
        sum += row * std::cos(std::numbers::pi / 128 * u * (2 * y + 1));
      }
      coefficients.push_back(sum / 32);
    }
  }
  std::vector<double> sorted = coefficients;
  std::ranges::sort(sorted);
  for (size_t k = 0; k < 256; ++k) twin.bits[k] = coefficients[k] > sorted[127];
  return twin;
}

inline int BitsApart(const PdqHash& hash, const PdqTwin& twin) {
  int differ = 0;
  for (size_t k = 0; k < 256; ++k) differ += (hash.words[k / 64] >> (k % 64) & 1) != (twin.bits[k] ? 1 : 0);
  return differ;
}

}  // namespace likeness
