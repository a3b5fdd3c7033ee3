#include "feature/color_distance.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/status.h"

namespace likeness {
namespace {

float Squared(const Lab& x, const Lab& y) {
  const float l = kLightnessWeight * (x.l - y.l), a = x.a - y.a, b = x.b - y.b;
  return l * l + a * a + b * b;
}

float Cost(float squared) { return std::min(std::sqrt(squared), kFarApart) / kFarApart; }

// Both sides have at most so many places, and every share is above kNothing.
constexpr size_t kMost = kMostColors;
constexpr double kNothing = 1e-9;
constexpr double kFar = std::numeric_limits<double>::infinity();

// Shares move along the cheapest path that is left, one after another, undoing earlier moves where that is cheaper: the
// successive shortest paths of W. Jewell (1958). Every path empties a place or a move, and none costs less than the
// one before it, so that the last total is the least.
class Transport {
 public:
  Transport(std::span<const SalientColor> from, std::span<const SalientColor> to)
      : rows_(from.size()), columns_(to.size()) {
    for (size_t i = 0; i < rows_; ++i) supply_[i] = from[i].weight;
    for (size_t j = 0; j < columns_; ++j) demand_[j] = to[j].weight;
    for (size_t i = 0; i < rows_; ++i) {
      for (size_t j = 0; j < columns_; ++j) cost_[i][j] = Cost(Squared(from[i].lab, to[j].lab));
    }
  }

  double Least() {
    double total = 0;
    constexpr int kMostPaths = 200;  // far above what places and moves allow
    for (int path = 0; path < kMostPaths; ++path) {
      const size_t end = FindPaths();
      if (end == columns_) break;
      total += Move(end);
    }
    return total;
  }

 private:
  // Distances of all places from those with something left to give (Bellman and Ford). The nearest place that wants
  // something, or columns_ when there is none.
  size_t FindPaths() {
    to_row_.fill(kFar), to_column_.fill(kFar);
    before_row_.fill(kMost), before_column_.fill(kMost);
    for (size_t i = 0; i < rows_; ++i) {
      if (supply_[i] > kNothing) to_row_[i] = 0;
    }
    for (size_t round = 0; round < rows_ + columns_; ++round) {
      bool shorter = false;
      for (size_t i = 0; i < rows_; ++i) {
        for (size_t j = 0; j < columns_; ++j) {
          if (to_row_[i] + cost_[i][j] < to_column_[j] - 1e-12) {
            to_column_[j] = to_row_[i] + cost_[i][j];
            before_column_[j] = i;
            shorter = true;
          }
        }
      }
      for (size_t i = 0; i < rows_; ++i) {
        for (size_t j = 0; j < columns_; ++j) {
          if (flow_[i][j] > kNothing && to_column_[j] - cost_[i][j] < to_row_[i] - 1e-12) {
            to_row_[i] = to_column_[j] - cost_[i][j];
            before_row_[i] = j;
            shorter = true;
          }
        }
      }
      if (!shorter) break;
    }
    size_t end = columns_;
    for (size_t j = 0; j < columns_; ++j) {
      if (demand_[j] > kNothing && to_column_[j] < kFar && (end == columns_ || to_column_[j] < to_column_[end]))
        end = j;
    }
    return end;
  }

  double Move(size_t end) {
    double amount = demand_[end];
    size_t i = before_column_[end];
    for (; before_row_[i] != kMost; i = before_column_[before_row_[i]]) {
      amount = std::min(amount, flow_[i][before_row_[i]]);
    }
    amount = std::min(amount, supply_[i]);
    supply_[i] -= amount;
    demand_[end] -= amount;
    for (size_t j = end;;) {
      i = before_column_[j];
      flow_[i][j] += amount;
      if (before_row_[i] == kMost) break;
      j = before_row_[i];
      flow_[i][j] -= amount;
    }
    return amount * to_column_[end];
  }

  const size_t rows_, columns_;
  std::array<double, kMost> supply_ = {}, demand_ = {}, to_row_, to_column_;
  std::array<size_t, kMost> before_row_, before_column_;
  double cost_[kMost][kMost];
  double flow_[kMost][kMost] = {};
};

}  // namespace

float ColorDistance(std::span<const SalientColor> a, std::span<const SalientColor> b) {
  LIKENESS_CHECK(!a.empty() && a.size() <= kMost && !b.empty() && b.size() <= kMost);
  return static_cast<float>(Transport(a, b).Least());
}

float ColorDistanceBound(std::span<const SalientColor> a, std::span<const SalientColor> b) {
  const auto one_way = [](std::span<const SalientColor> from, std::span<const SalientColor> to) {
    float sum = 0;
    for (const SalientColor& color : from) {
      float least = std::numeric_limits<float>::max();
      for (const SalientColor& other : to) least = std::min(least, Squared(color.lab, other.lab));
      sum += color.weight * Cost(least);
    }
    return sum;
  };
  return std::max(one_way(a, b), one_way(b, a));
}

void ColorIndex::Add(std::span<const SalientColor> signature) {
  LIKENESS_CHECK(!signature.empty() && signature.size() <= kMost);
  const size_t at = size_ % kBlock;
  if (at == 0) blocks_.emplace_back();
  for (size_t k = 0; k < kMost; ++k) {
    const SalientColor& color = signature[k < signature.size() ? k : 0];  // what is missing is there twice, for nothing
    blocks_.back().l[k][at] = color.lab.l;
    blocks_.back().a[k][at] = color.lab.a;
    blocks_.back().b[k][at] = color.lab.b;
    blocks_.back().weight[k][at] = k < signature.size() ? color.weight : 0;
  }
  ++size_;
}

std::vector<SalientColor> ColorIndex::RowColors(size_t row) const {
  const Block& block = blocks_[row / kBlock];
  const size_t at = row % kBlock;
  std::vector<SalientColor> colors;
  for (size_t k = 0; k < kMost && block.weight[k][at] > 0; ++k) {
    colors.push_back({{block.l[k][at], block.a[k][at], block.b[k][at]}, block.weight[k][at]});
  }
  return colors;
}

std::vector<ColorIndex::Hit> ColorIndex::Nearest(std::span<const SalientColor> query, size_t count) const {
  count = std::min(count, size_);
  if (count == 0) return {};
  // The bounds of all, a block at a time.
  std::vector<float> bounds(blocks_.size() * kBlock);
  for (size_t n = 0; n < blocks_.size(); ++n) {
    const Block& block = blocks_[n];
    float to_query[kMost][kBlock], one_way[kBlock] = {}, other_way[kBlock] = {};
    std::fill_n(&to_query[0][0], kMost * kBlock, std::numeric_limits<float>::max());
    for (const SalientColor& color : query) {
      float least[kBlock];
      std::fill_n(least, kBlock, std::numeric_limits<float>::max());
      for (size_t k = 0; k < kMost; ++k) {
        for (size_t i = 0; i < kBlock; ++i) {
          const float l = kLightnessWeight * (color.lab.l - block.l[k][i]), a = color.lab.a - block.a[k][i];
          const float b = color.lab.b - block.b[k][i];
          const float squared = l * l + a * a + b * b;
          least[i] = squared < least[i] ? squared : least[i];
          to_query[k][i] = squared < to_query[k][i] ? squared : to_query[k][i];
        }
      }
      for (size_t i = 0; i < kBlock; ++i) one_way[i] += color.weight * Cost(least[i]);
    }
    for (size_t k = 0; k < kMost; ++k) {
      for (size_t i = 0; i < kBlock; ++i) other_way[i] += block.weight[k][i] * Cost(to_query[k][i]);
    }
    for (size_t i = 0; i < kBlock; ++i) bounds[n * kBlock + i] = std::max(one_way[i], other_way[i]);
  }
  std::vector<uint32_t> order(size_);
  for (size_t i = 0; i < size_; ++i) order[i] = static_cast<uint32_t>(i);
  const auto nearer = [](const Hit& x, const Hit& y) {
    return x.distance != y.distance ? x.distance < y.distance : x.row < y.row;
  };
  const auto hit = [&](uint32_t row) { return Hit{row, ColorDistance(query, RowColors(row))}; };
  std::ranges::nth_element(order, order.begin() + static_cast<ptrdiff_t>(count - 1), {},
                           [&](uint32_t row) { return bounds[row]; });
  std::vector<Hit> best;  // a heap, the farthest on top
  for (size_t i = 0; i < count; ++i) best.push_back(hit(order[i]));
  std::ranges::make_heap(best, nearer);
  constexpr float kRounding = 1e-5f;
  for (size_t i = count; i < size_; ++i) {
    if (bounds[order[i]] > best.front().distance + kRounding) continue;
    const Hit candidate = hit(order[i]);
    if (!nearer(candidate, best.front())) continue;
    std::ranges::pop_heap(best, nearer);
    best.back() = candidate;
    std::ranges::push_heap(best, nearer);
  }
  std::ranges::sort_heap(best, nearer);
  return best;
}

}  // namespace likeness
