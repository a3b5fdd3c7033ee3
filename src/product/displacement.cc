#include "product/displacement.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>

namespace likeness {
namespace {

constexpr size_t kBlock = 8;                   // samples on a side
constexpr double kFewestSamples = 24;          // of a block, with neighbours on all sides
constexpr double kLeastGradient = 3;           // luma a sample, in the direction that has least
constexpr double kLeastCorrelation = 0.7;      // of a block that shows the same in both
constexpr size_t kFewestBlocks = 8;            // that tell
constexpr double kFarOff = 0.25;               // samples; a block that is off by more has less to say about the whole
constexpr double kNoise = 8, kFaintNoise = 3;  // luma
constexpr int kBlockRounds = 3, kRounds = 4;

// Where a block lies, from -1 to 1 across the picture, and how far it is off.
struct Shift {
  double u = 0, v = 0;
  double x = 0, y = 0;
  double weight = 0;  // how well the block's structure tells, over what its shift leaves unexplained
};

// Sums for [gx gy 1] * (x, y, offset) = second - first, and for the correlation.
struct BlockSums {
  double samples = 0;
  double n = 0, xx = 0, xy = 0, yy = 0, x = 0, y = 0, xr = 0, yr = 0, r = 0, rr = 0;
  double a = 0, b = 0, aa = 0, bb = 0, ab = 0;
};

struct BlockFit {
  double x = 0, y = 0, offset = 0;
  double weight = 0;
};

std::optional<BlockFit> Solve(const BlockSums& s) {
  if (s.samples < kFewestSamples) return std::nullopt;
  const double aa = s.aa / s.n - s.a / s.n * (s.a / s.n), bb = s.bb / s.n - s.b / s.n * (s.b / s.n);
  const double ab = s.ab / s.n - s.a / s.n * (s.b / s.n);
  if (!(ab > 0) || ab * ab < kLeastCorrelation * kLeastCorrelation * aa * bb) return std::nullopt;
  // The offset is eliminated: sums about the means.
  const double xx = s.xx / s.n - s.x / s.n * (s.x / s.n), yy = s.yy / s.n - s.y / s.n * (s.y / s.n);
  const double xy = s.xy / s.n - s.x / s.n * (s.y / s.n);
  const double xr = s.xr / s.n - s.x / s.n * (s.r / s.n), yr = s.yr / s.n - s.y / s.n * (s.r / s.n);
  const double half = (xx + yy) / 2, least = half - std::hypot((xx - yy) / 2, xy);
  if (least < kLeastGradient * kLeastGradient) return std::nullopt;
  const double determinant = xx * yy - xy * xy;
  BlockFit fit{.x = (xr * yy - yr * xy) / determinant, .y = (yr * xx - xr * xy) / determinant};
  fit.offset = (s.r - fit.x * s.x - fit.y * s.y) / s.n;
  const double rr = s.rr / s.n - s.r / s.n * (s.r / s.n);
  const double left = std::max(0.0, rr - fit.x * xr - fit.y * yr);
  fit.weight = s.n * least / (left + kFaintNoise * kFaintNoise);
  return fit;
}

// Each sample counts the less the further it is from what `last` says of it: letters are no part of the picture.
BlockSums SumsOf(const LumaGrid& grid, size_t left, size_t top, const std::optional<BlockFit>& last) {
  BlockSums s;
  const auto mean = [&](size_t i) { return 0.5 * (grid.first[i] + grid.second[i]); };
  for (size_t y = std::max<size_t>(1, top); y < std::min(top + kBlock, grid.rows - 1); ++y) {
    for (size_t x = std::max<size_t>(1, left); x < std::min(left + kBlock, grid.columns - 1); ++x) {
      const size_t i = y * grid.columns + x;
      const double gx = 0.5 * (mean(i + 1) - mean(i - 1)), gy = 0.5 * (mean(i + grid.columns) - mean(i - grid.columns));
      const double a = grid.first[i], b = grid.second[i], r = b - a;
      if (std::isnan(gx + gy + r)) continue;
      const double off = last ? r - (last->x * gx + last->y * gy + last->offset) : 0;
      const double w = 1 / (1 + off * off / (kNoise * kNoise));
      s.samples += 1, s.n += w, s.xx += w * gx * gx, s.xy += w * gx * gy, s.yy += w * gy * gy, s.x += w * gx,
          s.y += w * gy;
      s.xr += w * gx * r, s.yr += w * gy * r, s.r += w * r, s.rr += w * r * r;
      s.a += w * a, s.b += w * b, s.aa += w * a * a, s.bb += w * b * b, s.ab += w * a * b;
    }
  }
  return s;
}

std::optional<Shift> ShiftOf(const LumaGrid& grid, size_t left, size_t top) {
  std::optional<BlockFit> fit;
  for (int round = 0; round < kBlockRounds; ++round) {
    fit = Solve(SumsOf(grid, left, top, fit));
    if (!fit) return std::nullopt;
  }
  return Shift{.u = 2 * (static_cast<double>(left) + kBlock / 2.0) / static_cast<double>(grid.columns) - 1,
               .v = 2 * (static_cast<double>(top) + kBlock / 2.0) / static_cast<double>(grid.rows) - 1,
               .x = fit->x,
               .y = fit->y,
               .weight = fit->weight};
}

// Least squares of value = c[0] + c[1] u + c[2] v; nothing when the blocks lie on a line.
std::optional<std::array<double, 3>> FitPlane(const std::vector<Shift>& shifts, const std::vector<double>& weights,
                                              double Shift::*value) {
  double n = 0, u = 0, v = 0, z = 0, uu = 0, uv = 0, vv = 0, uz = 0, vz = 0;
  for (size_t i = 0; i < shifts.size(); ++i) {
    const Shift& s = shifts[i];
    const double w = weights[i], at = s.*value;
    n += w, u += w * s.u, v += w * s.v, z += w * at;
    uu += w * s.u * s.u, uv += w * s.u * s.v, vv += w * s.v * s.v, uz += w * s.u * at, vz += w * s.v * at;
  }
  u /= n, v /= n, z /= n;
  uu = uu / n - u * u, uv = uv / n - u * v, vv = vv / n - v * v, uz = uz / n - u * z, vz = vz / n - v * z;
  const double determinant = uu * vv - uv * uv;
  if (determinant < 1e-4) return std::nullopt;
  const double across = (uz * vv - vz * uv) / determinant, down = (vz * uu - uz * uv) / determinant;
  return std::array<double, 3>{z - across * u - down * v, across, down};
}

// The value with half of the weight below it. REQUIRES: not empty
double WeightedMedian(const std::vector<double>& values, const std::vector<double>& weights) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return values[i]; });
  const double half = std::accumulate(weights.begin(), weights.end(), 0.0) / 2;
  double below = 0;
  for (const size_t i : order) {
    below += weights[i];
    if (below >= half) return values[i];
  }
  return values[order.back()];
}

}  // namespace

Displacement MeasureDisplacement(const LumaGrid& grid) {
  if (grid.columns < 3 || grid.rows < 3) return {};
  std::vector<Shift> shifts;
  for (size_t top = 0; top < grid.rows; top += kBlock) {
    for (size_t left = 0; left < grid.columns; left += kBlock) {
      if (const std::optional<Shift> shift = ShiftOf(grid, left, top)) shifts.push_back(*shift);
    }
  }
  Displacement result;
  result.blocks = shifts.size();
  if (shifts.size() < kFewestBlocks) return result;

  // A block that is much surer than the others is one block all the same.
  std::vector<double> sure;
  for (const Shift& shift : shifts) sure.push_back(shift.weight);
  const double usual = WeightedMedian(sure, std::vector<double>(sure.size(), 1));
  for (double& weight : sure) weight = std::min(weight, 2 * usual);

  std::vector<double> weights = sure, off(shifts.size());
  for (int round = 0; round < kRounds; ++round) {
    const auto x = FitPlane(shifts, weights, &Shift::x), y = FitPlane(shifts, weights, &Shift::y);
    if (!x || !y) return result;
    for (size_t i = 0; i < shifts.size(); ++i) {
      const auto at = [&](const std::array<double, 3>& c) { return c[0] + c[1] * shifts[i].u + c[2] * shifts[i].v; };
      off[i] = std::hypot(shifts[i].x - at(*x), shifts[i].y - at(*y));
      weights[i] = sure[i] / (1 + off[i] * off[i] / (kFarOff * kFarOff));
    }
  }
  result.median = static_cast<float>(WeightedMedian(off, sure));
  return result;
}

}  // namespace likeness
