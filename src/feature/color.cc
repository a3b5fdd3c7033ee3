#include "feature/color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "kernel/half.h"

namespace likeness {
namespace {

// Raised whenever this code would give other values for the same picture.
constexpr int kRevision = 2;

constexpr float kNewCenter = 5;      // units of L*a*b*: a further center must be so far from those that there are
constexpr float kMergeNearer = 5;    // centers nearer than this become one
constexpr float kLeastShare = 0.01;  // of the region; colors with less are left out
constexpr double kMiddle = 0.3;      // of the sides of the region's box: how far its middle reaches
constexpr int kRounds = 12;

constexpr size_t kRowBytes = 4 * sizeof(uint16_t);

// Pixels of nearly one color, as one point.
struct Point {
  Lab lab;
  float weight = 0;
};

// Colors of the region in cells of L*a*b*, so that the clustering has hundreds of points and not thousands.
std::vector<Point> Gather(const LabPicture& small, const std::vector<float>& weights) {
  constexpr int kCells = 32;  // a side; L in steps of 3.2, a and b in steps of 8
  std::vector<Point> cells(kCells * kCells * kCells);
  std::vector<uint32_t> used;
  for (size_t i = 0; i < small.lab.size(); ++i) {
    if (weights[i] == 0) continue;
    const Lab& lab = small.lab[i];
    const auto cell = [](float value) {
      return static_cast<uint32_t>(std::clamp(static_cast<int>(value), 0, kCells - 1));
    };
    const uint32_t at =
        (cell(lab.l * 0.32f) * kCells + cell((lab.a + 128) * 0.125f)) * kCells + cell((lab.b + 128) * 0.125f);
    Point& point = cells[at];
    if (point.weight == 0) used.push_back(at);
    point.weight += weights[i];
    point.lab.l += weights[i] * lab.l;
    point.lab.a += weights[i] * lab.a;
    point.lab.b += weights[i] * lab.b;
  }
  std::ranges::sort(used);
  std::vector<Point> points;
  for (const uint32_t at : used) {
    const Point& sum = cells[at];
    points.push_back({{sum.lab.l / sum.weight, sum.lab.a / sum.weight, sum.lab.b / sum.weight}, sum.weight});
  }
  return points;
}

// k-means: the heaviest point, then whichever adds most, weight times squared distance; then S. Lloyd's iteration.
std::vector<Point> Cluster(const std::vector<Point>& points, size_t most) {
  std::vector<Point> centers;
  std::vector<float> nearest(points.size(), 1e9f);
  std::vector<uint8_t> owner(points.size(), 0);
  while (centers.size() < most) {
    size_t best = points.size();
    float gain = 0;
    for (size_t i = 0; i < points.size(); ++i) {
      const float candidate = centers.empty() ? points[i].weight : points[i].weight * nearest[i];
      if (candidate > gain && (centers.empty() || nearest[i] > kNewCenter * kNewCenter)) gain = candidate, best = i;
    }
    if (best == points.size()) break;
    centers.push_back(points[best]);
    for (size_t i = 0; i < points.size(); ++i) {
      nearest[i] = std::min(nearest[i], SquaredDistance(points[i].lab, centers.back().lab));
    }
  }
  for (int round = 0; round < kRounds; ++round) {
    bool moved = false;
    std::vector<Point> sums(centers.size());
    for (size_t i = 0; i < points.size(); ++i) {
      size_t best = 0;
      float least = 1e9f;
      for (size_t k = 0; k < centers.size(); ++k) {
        const float distance = SquaredDistance(points[i].lab, centers[k].lab);
        if (distance < least) least = distance, best = k;
      }
      moved = moved || owner[i] != best || round == 0;
      owner[i] = static_cast<uint8_t>(best);
      Point& sum = sums[best];
      sum.weight += points[i].weight;
      sum.lab.l += points[i].weight * points[i].lab.l;
      sum.lab.a += points[i].weight * points[i].lab.a;
      sum.lab.b += points[i].weight * points[i].lab.b;
    }
    for (size_t k = 0; k < centers.size(); ++k) {
      const float weight = sums[k].weight;
      centers[k].weight = weight;
      if (weight > 0) centers[k].lab = {sums[k].lab.l / weight, sums[k].lab.a / weight, sums[k].lab.b / weight};
    }
    if (!moved) break;
  }
  std::erase_if(centers, [](const Point& center) { return center.weight <= 0; });
  return centers;
}

// Joins the two nearest centers for as long as they are nearer than `apart`.
void Merge(std::vector<Point>& centers, float apart) {
  while (centers.size() > 1) {
    size_t first = 0, second = 0;
    float least = apart * apart;
    for (size_t i = 0; i < centers.size(); ++i) {
      for (size_t j = i + 1; j < centers.size(); ++j) {
        const float distance = SquaredDistance(centers[i].lab, centers[j].lab);
        if (distance < least) least = distance, first = i, second = j;
      }
    }
    if (first == second) return;
    Point &to = centers[first], &from = centers[second];
    const float weight = to.weight + from.weight, share = from.weight / weight;
    to.lab.l += share * (from.lab.l - to.lab.l);
    to.lab.a += share * (from.lab.a - to.lab.a);
    to.lab.b += share * (from.lab.b - to.lab.b);
    to.weight = weight;
    centers.erase(centers.begin() + static_cast<ptrdiff_t>(second));
  }
}

// Colors of skin count half, so that who wears a thing says less than the thing. Where all is of such a color nothing
// changes.
float BodyWeight(const Lab& lab) {
  const float chroma = std::hypot(lab.a, lab.b), degrees = std::atan2(lab.b, lab.a) * 57.29578f;
  const bool skin = lab.l > 35 && lab.l < 88 && chroma > 12 && chroma < 42 && degrees > 32 && degrees < 75;
  return skin ? 0.5f : 1.0f;
}

class ColorExtractor : public Extractor {
 public:
  const FeatureKey& key() const override { return key_; }
  FeatureLayout layout() const override { return {Dtype::kF16, 4, true}; }

  absl::StatusOr<std::vector<FeatureValue>> Extract(std::span<const Pixels> pictures) const override {
    std::vector<FeatureValue> values;
    values.reserve(pictures.size());
    for (const Pixels& pixels : pictures) values.push_back(Value(ComputeColorSignature(pixels)));
    return values;
  }

 private:
  static std::vector<std::byte> Value(const ColorSignature& signature) {
    std::vector<float> values;
    for (const SalientColor& color : signature) {
      values.insert(values.end(), {color.lab.l, color.lab.a, color.lab.b, color.weight});
    }
    std::vector<uint16_t> halves(values.size());
    FloatToHalf(values, halves);
    std::vector<std::byte> bytes(halves.size() * 2);
    std::memcpy(bytes.data(), halves.data(), bytes.size());
    return bytes;
  }

  FeatureKey key_ = ColorFeatureKey();
};

}  // namespace

ColorSignature ComputeColorSignature(const LabPicture& small, const SalientRegion& region) {
  const size_t width = small.width;
  size_t left = width, right = 0, top = small.height, bottom = 0;
  for (size_t i = 0; i < region.mask.size(); ++i) {
    if (region.mask[i] == 0) continue;
    left = std::min(left, i % width), right = std::max(right, i % width + 1);
    top = std::min(top, i / width), bottom = std::max(bottom, i / width + 1);
  }
  // The middle of the region counts most: what is worn, and not hands, shoes and what a mask took in at its ends.
  std::vector<float> across(width), down(small.height), weights(small.lab.size());
  const auto middle = [](size_t at, size_t begin, size_t end) {
    const double off =
        (static_cast<double>(at) + 0.5 - 0.5 * static_cast<double>(begin + end)) / static_cast<double>(end - begin);
    return static_cast<float>(std::exp(-off * off / (2 * kMiddle * kMiddle)));
  };
  for (size_t x = left; x < right; ++x) across[x] = middle(x, left, right);
  for (size_t y = top; y < bottom; ++y) down[y] = middle(y, top, bottom);
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = region.mask[i] != 0 ? across[i % width] * down[i / width] * BodyWeight(small.lab[i]) : 0;
  }
  std::vector<Point> centers = Cluster(Gather(small, weights), kMostColors);
  Merge(centers, kMergeNearer);
  const auto sum = [&] {
    float total = 0;
    for (const Point& center : centers) total += center.weight;
    return total;
  };
  const float least = kLeastShare * sum();
  std::erase_if(centers, [&](const Point& center) { return center.weight < least; });
  const float total = sum();
  ColorSignature signature;
  for (const Point& center : centers) signature.push_back({center.lab, center.weight / total});
  std::ranges::stable_sort(signature, std::greater(), &SalientColor::weight);
  return signature;
}

ColorSignature ComputeColorSignature(const Pixels& pixels) {
  const LabPicture small = SmallLabPicture(pixels, kSalientSide);
  return ComputeColorSignature(small, FindSalientRegion(small, pixels.full_width, pixels.full_height));
}

std::optional<ColorSignature> ParseColorValue(std::span<const std::byte> bytes) {
  if (bytes.empty() || bytes.size() % kRowBytes != 0 || bytes.size() > kMostColors * kRowBytes) return std::nullopt;
  std::array<uint16_t, 4 * kMostColors> halves;
  std::array<float, 4 * kMostColors> values;
  const size_t count = bytes.size() / 2;
  std::memcpy(halves.data(), bytes.data(), bytes.size());
  HalfToFloat(std::span(halves).first(count), std::span(values).first(count));
  ColorSignature signature;
  float total = 0;
  for (size_t i = 0; i < count; i += 4) {
    for (size_t c = 0; c < 4; ++c) {
      if (!std::isfinite(values[i + c])) return std::nullopt;
    }
    if (values[i + 3] <= 0) return std::nullopt;
    signature.push_back({{values[i], values[i + 1], values[i + 2]}, values[i + 3]});
    total += values[i + 3];
  }
  for (SalientColor& color : signature) color.weight /= total;
  return signature;
}

FeatureKey ColorFeatureKey() {
  return FeatureKey::Of("color", "revision=" + std::to_string(kRevision) +
                                     "\nsize=" + std::to_string(kStandardSize.shorter) + "," +
                                     std::to_string(kStandardSize.longer) + "\n");
}

std::unique_ptr<Extractor> MakeColorExtractor() { return std::make_unique<ColorExtractor>(); }

}  // namespace likeness
