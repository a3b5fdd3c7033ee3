#include "infer/typical_image.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/random.h"

namespace likeness {
namespace {

// Adds numbers between -size and size on a grid of `cells` by `cells`, and what lies between them.
void AddOctave(Random& random, size_t cells, float size, size_t height, size_t width, float* plane) {
  std::vector<float> grid((cells + 1) * (cells + 1));
  for (float& value : grid) value = size * (2 * static_cast<float>(random.Unit()) - 1);
  for (size_t y = 0; y < height; ++y) {
    const size_t row = y * cells / height;
    const float down = static_cast<float>(y * cells % height) / static_cast<float>(height);
    for (size_t x = 0; x < width; ++x) {
      const size_t column = x * cells / width;
      const float right = static_cast<float>(x * cells % width) / static_cast<float>(width);
      const float* const at = &grid[row * (cells + 1) + column];
      const float above = at[0] + right * (at[1] - at[0]);
      const float below = at[cells + 1] + right * (at[cells + 2] - at[cells + 1]);
      plane[y * width + x] += above + down * (below - above);
    }
  }
}

}  // namespace

std::vector<float> TypicalImage(const ModelInput& input, uint64_t seed) {
  constexpr size_t kMostCells = 128;
  constexpr float kGray = 40, kColor = 16;  // of 255, at each scale
  const size_t height = input.height, width = input.width, area = height * width;
  Random random(seed);
  std::vector<float> gray(area), image(3 * area);
  for (size_t cells = 2; cells <= kMostCells; cells *= 2) AddOctave(random, cells, kGray, height, width, gray.data());
  for (size_t c = 0; c < 3; ++c) {
    float* const plane = &image[c * area];
    for (size_t cells = 2; cells <= kMostCells; cells *= 2) AddOctave(random, cells, kColor, height, width, plane);
    for (size_t i = 0; i < area; ++i) {
      plane[i] = (std::clamp(std::round(128 + gray[i] + plane[i]), 0.f, 255.f) - input.mean[c]) * input.scale[c];
    }
  }
  return image;
}

}  // namespace likeness
