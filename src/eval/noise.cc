#include "eval/noise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace likeness {
namespace {

constexpr uint32_t kWidth = 320, kHeight = 320;

using Color = std::array<double, 3>;

Color AnyColor(Random& random) { return {256 * random.Unit(), 256 * random.Unit(), 256 * random.Unit()}; }

// A coarse grid of colors, drawn with hard or soft edges.
struct Grid {
  size_t side;
  std::vector<Color> cells;

  Color At(double x, double y, bool soft) const {
    const double column = x * static_cast<double>(side - 1), row = y * static_cast<double>(side - 1);
    if (!soft) return Cell(std::lround(column), std::lround(row));
    const double left = std::floor(column), top = std::floor(row), u = column - left, v = row - top;
    Color sum{};
    for (int corner = 0; corner < 4; ++corner) {
      const int right = corner % 2, down = corner / 2;
      const Color& one = Cell(static_cast<long>(left) + right, static_cast<long>(top) + down);
      const double weight = (right ? u : 1 - u) * (down ? v : 1 - v);
      for (size_t c = 0; c < 3; ++c) sum[c] += weight * one[c];
    }
    return sum;
  }
  const Color& Cell(long column, long row) const {
    const auto most = static_cast<long>(side) - 1;
    return cells[static_cast<size_t>(std::clamp(row, 0l, most) * (most + 1) + std::clamp(column, 0l, most))];
  }
};

}  // namespace

Pixels NoisePicture(uint64_t seed, size_t i) {
  Random random(seed * 1'000'003 + i);
  Pixels picture;
  picture.width = picture.full_width = kWidth;
  picture.height = picture.full_height = kHeight;
  picture.rgb.resize(size_t{kWidth} * kHeight * 3);
  Grid grid{2 + random.Below(30), {}};
  for (size_t c = 0; c < grid.side * grid.side; ++c) grid.cells.push_back(AnyColor(random));
  const Color first = AnyColor(random), second = AnyColor(random);
  const uint32_t period = 2 + static_cast<uint32_t>(random.Below(40));
  for (uint32_t y = 0; y < kHeight; ++y) {
    for (uint32_t x = 0; x < kWidth; ++x) {
      const double u = x / static_cast<double>(kWidth), v = y / static_cast<double>(kHeight);
      Color color{};
      switch (i % 6) {
        case 0:
          color = AnyColor(random);
          break;
        case 1:
          color.fill(128 + 50 * random.Normal());
          break;
        case 2:
          color = grid.At(u, v, false);
          break;
        case 3:
          color = grid.At(u, v, true);
          break;
        case 4:
          for (size_t c = 0; c < 3; ++c) color[c] = first[c] * (1 - u) + second[c] * u;
          break;
        default:
          color = (x / period + y / period) % 2 == 0 ? first : second;
          break;
      }
      for (size_t c = 0; c < 3; ++c) {
        picture.rgb[(size_t{y} * kWidth + x) * 3 + c] = static_cast<uint8_t>(std::clamp(color[c], 0.0, 255.0));
      }
    }
  }
  return picture;
}

}  // namespace likeness
