#include "feature/salient_region.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

namespace likeness {
namespace {

// Sides of the bands along the edges whose colors are the ground's, as a share of the picture's.
constexpr double kBand = 0.1;
// How far the middle reaches: the standard deviation of the weight, as a share of the root of the area.
constexpr double kMiddle = 0.45;
// Where the ground is this quiet (in units of L*a*b*), it is one surface, and everything that is not it stands out,
// also what is pale; elsewhere the picture itself says where to cut.
constexpr float kQuietGround = 10;
constexpr float kAboveNoise = 3;    // times the noise of a quiet ground
constexpr float kLeastBarrier = 6;  // summed over the channels; less is noise of the encoder

constexpr size_t kSpeck = 10;  // a patch so many times smaller than the largest is none of it
// Barriers below this everywhere: one color, as far as can be told.
constexpr float kNothingStandsOut = 4;

// Barrier distances of the three channels to the edge of the picture, added up. Three sweeps, as in the publication.
std::vector<float> BarrierDistances(const LabPicture& small) {
  const size_t width = small.width, height = small.height;
  std::vector<float> sum(small.lab.size(), 0.0f);
  std::vector<float> value(small.lab.size()), distance(small.lab.size()), high(small.lab.size()), low(small.lab.size());
  for (int channel = 0; channel < 3; ++channel) {
    for (size_t i = 0; i < small.lab.size(); ++i) {
      value[i] = channel == 0 ? small.lab[i].l : channel == 1 ? small.lab[i].a : small.lab[i].b;
      const size_t x = i % width, y = i / width;
      distance[i] = x == 0 || y == 0 || x + 1 == width || y + 1 == height ? 0.0f : 1e9f;
    }
    high = low = value;
    const auto relax = [&](size_t at, size_t from) {
      const float highest = std::max(high[from], value[at]), lowest = std::min(low[from], value[at]);
      if (highest - lowest < distance[at]) {
        distance[at] = highest - lowest;
        high[at] = highest;
        low[at] = lowest;
      }
    };
    for (int sweep = 0; sweep < 3; ++sweep) {
      if (sweep % 2 == 0) {
        for (size_t y = 1; y + 1 < height; ++y) {
          for (size_t i = y * width + 1; i < (y + 1) * width - 1; ++i) {
            relax(i, i - width);
            relax(i, i - 1);
          }
        }
      } else {
        for (size_t y = height - 1; y-- > 1;) {
          for (size_t i = (y + 1) * width - 2; i > y * width; --i) {
            relax(i, i + width);
            relax(i, i + 1);
          }
        }
      }
    }
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += distance[i];
  }
  return sum;
}

// Mean and inverse covariance of the colors of a band along one edge.
struct BandColors {
  std::array<float, 3> mean = {};
  std::array<float, 6> inverse = {};  // of the symmetric matrix: ll la lb aa ab bb
  // Mahalanobis, squared.
  float Distance(const Lab& lab) const {
    const float l = lab.l - mean[0], a = lab.a - mean[1], b = lab.b - mean[2];
    return inverse[0] * l * l + inverse[3] * a * a + inverse[5] * b * b +
           2 * (inverse[1] * l * a + inverse[2] * l * b + inverse[4] * a * b);
  }
};

BandColors ColorsOf(const LabPicture& small, size_t left, size_t top, size_t right, size_t bottom) {
  std::array<double, 3> m = {};
  std::array<double, 6> c = {};
  const double count = static_cast<double>((right - left) * (bottom - top));
  for (size_t y = top; y < bottom; ++y) {
    for (size_t x = left; x < right; ++x) {
      const Lab& lab = small.lab[y * small.width + x];
      const double l = lab.l, a = lab.a, b = lab.b;
      m[0] += l, m[1] += a, m[2] += b;
      c[0] += l * l, c[1] += l * a, c[2] += l * b, c[3] += a * a, c[4] += a * b, c[5] += b * b;
    }
  }
  for (double& mean : m) mean /= count;
  const double products[6] = {m[0] * m[0], m[0] * m[1], m[0] * m[2], m[1] * m[1], m[1] * m[2], m[2] * m[2]};
  for (size_t i = 0; i < 6; ++i) c[i] = c[i] / count - products[i];
  for (const size_t i : {0, 3, 5}) c[i] += 9;  // noise of 3 units at least, so that it can be inverted
  const double d0 = c[3] * c[5] - c[4] * c[4], d1 = c[2] * c[4] - c[1] * c[5], d2 = c[1] * c[4] - c[2] * c[3];
  const double determinant = c[0] * d0 + c[1] * d1 + c[2] * d2;
  const double inverse[6] = {
      d0, d1, d2, c[0] * c[5] - c[2] * c[2], c[1] * c[2] - c[0] * c[4], c[0] * c[3] - c[1] * c[1]};
  BandColors colors;
  for (size_t i = 0; i < 3; ++i) colors.mean[i] = static_cast<float>(m[i]);
  for (size_t i = 0; i < 6; ++i) colors.inverse[i] = static_cast<float>(inverse[i] / determinant);
  return colors;
}

void ScaleToOne(std::vector<float>& values) {
  const float largest = *std::ranges::max_element(values);
  if (largest > 0) {
    for (float& value : values) value /= largest;
  }
}

// How unlike each pixel is to the edges: the sum over all four but the one that it is least like, for the thing itself
// may touch one.
std::vector<float> Unlikeness(const LabPicture& small) {
  const size_t width = small.width, height = small.height;
  const size_t across = std::max<size_t>(1, static_cast<size_t>(kBand * static_cast<double>(width)));
  const size_t down = std::max<size_t>(1, static_cast<size_t>(kBand * static_cast<double>(height)));
  const BandColors bands[4] = {ColorsOf(small, 0, 0, width, down), ColorsOf(small, 0, height - down, width, height),
                               ColorsOf(small, 0, 0, across, height),
                               ColorsOf(small, width - across, 0, width, height)};
  std::vector<float> sum(small.lab.size(), 0.0f), largest(small.lab.size(), 0.0f), one(small.lab.size());
  for (const BandColors& band : bands) {
    for (size_t i = 0; i < one.size(); ++i) one[i] = std::sqrt(std::max(0.0f, band.Distance(small.lab[i])));
    ScaleToOne(one);
    for (size_t i = 0; i < one.size(); ++i) {
      sum[i] += one[i];
      largest[i] = std::max(largest[i], one[i]);
    }
  }
  for (size_t i = 0; i < sum.size(); ++i) sum[i] -= largest[i];
  return sum;
}

// The cut between 256 levels that leaves the two sides most unlike. At least 1.
int OtsuCut(const std::vector<uint8_t>& map) {
  std::array<double, 256> histogram = {};
  double total = 0;
  for (const uint8_t level : map) {
    ++histogram[level];
    total += level;
  }
  double below = 0, below_sum = 0, best = -1;
  int cut = 1;
  for (int level = 1; level < 256; ++level) {
    below += histogram[static_cast<size_t>(level - 1)];
    below_sum += histogram[static_cast<size_t>(level - 1)] * (level - 1);
    const double above = static_cast<double>(map.size()) - below;
    if (below == 0 || above == 0) continue;
    const double apart = below_sum / below - (total - below_sum) / above;
    if (below * above * apart * apart > best) {
      best = below * above * apart * apart;
      cut = level;
    }
  }
  return cut;
}

// Connected pixels (by their sides) with the same value in `mask`, found one after another.
class Patches {
 public:
  Patches(size_t width, const std::vector<uint8_t>& mask) : width_(width), mask_(mask), seen_(mask.size(), false) {}

  // The patch that holds `start`; empty when it was found before.
  std::span<const size_t> From(size_t start) {
    patch_.clear();
    const uint8_t value = mask_[start];
    const auto visit = [&](size_t i) {
      if (mask_[i] != value || seen_[i]) return;
      seen_[i] = true;
      patch_.push_back(i);
    };
    visit(start);
    for (size_t next = 0; next < patch_.size(); ++next) {
      const size_t i = patch_[next], x = i % width_;
      if (x > 0) visit(i - 1);
      if (x + 1 < width_) visit(i + 1);
      if (i >= width_) visit(i - width_);
      if (i + width_ < mask_.size()) visit(i + width_);
    }
    return patch_;
  }

 private:
  const size_t width_;
  const std::vector<uint8_t>& mask_;
  std::vector<bool> seen_;
  std::vector<size_t> patch_;
};

// Puts what the mask encloses into it.
void FillHoles(size_t width, size_t height, std::vector<uint8_t>& mask) {
  std::vector<uint8_t> filled(mask.size(), 1);
  Patches patches(width, mask);
  for (size_t i = 0; i < mask.size(); ++i) {
    const size_t x = i % width, y = i / width;
    if (mask[i] != 0 || (x > 0 && y > 0 && x + 1 < width && y + 1 < height)) continue;
    for (const size_t outside : patches.From(i)) filled[outside] = 0;
  }
  mask = std::move(filled);
}

// Takes patches out of the mask that are small beside the largest.
void DropSpecks(size_t width, std::vector<uint8_t>& mask) {
  size_t largest = 0;
  std::vector<std::vector<size_t>> small;
  Patches patches(width, mask);
  for (size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] == 0) continue;
    const auto patch = patches.From(i);
    largest = std::max(largest, patch.size());
    if (!patch.empty() && patch.size() * kSpeck < mask.size()) small.emplace_back(patch.begin(), patch.end());
  }
  for (const auto& patch : small) {
    if (patch.size() * kSpeck >= largest) continue;
    for (const size_t i : patch) mask[i] = 0;
  }
}

// How restless the ground is: three quarters of the pixels along the edges are nearer than this to their median color.
float GroundNoise(const LabPicture& small) {
  constexpr size_t kRim = 2;
  std::vector<Lab> edge;
  for (size_t i = 0; i < small.lab.size(); ++i) {
    const size_t x = i % small.width, y = i / small.width;
    if (x < kRim || y < kRim || x + kRim >= small.width || y + kRim >= small.height) edge.push_back(small.lab[i]);
  }
  const auto at_share = [](std::vector<float>& values, double share) {
    const auto at = values.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), at, values.end());
    return *at;
  };
  std::vector<float> values(edge.size());
  const auto median = [&](float Lab::*channel) {
    std::ranges::transform(edge, values.begin(), [&](const Lab& lab) { return lab.*channel; });
    return at_share(values, 0.5);
  };
  const Lab middle = {median(&Lab::l), median(&Lab::a), median(&Lab::b)};
  std::ranges::transform(edge, values.begin(), [&](const Lab& lab) { return SquaredDistance(lab, middle); });
  return std::sqrt(at_share(values, 0.75));
}

// The mask of the pixels where `stands_out` is `cut` at least.
std::vector<uint8_t> CutAt(const std::vector<float>& stands_out, float cut) {
  std::vector<uint8_t> mask(stands_out.size());
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = stands_out[i] >= cut ? 1 : 0;
  return mask;
}

// The range that leaves out less than a hundredth of all counts at either end: frayed masks have no frayed boxes.
std::pair<size_t, size_t> Middle(const std::vector<size_t>& counts) {
  const size_t all = std::accumulate(counts.begin(), counts.end(), size_t{0});
  size_t begin = 0, end = counts.size();
  for (size_t sum = counts[begin]; sum * 100 < all; sum += counts[begin]) ++begin;
  for (size_t sum = counts[end - 1]; sum * 100 < all; sum += counts[end - 1]) --end;
  return {begin, end};
}

}  // namespace

SalientRegion FindSalientRegion(const LabPicture& small, uint32_t full_width, uint32_t full_height) {
  const size_t width = small.width, height = small.height;
  SalientRegion region;
  region.width = small.width;
  region.height = small.height;
  region.mask.assign(small.lab.size(), 1);
  region.map.assign(small.lab.size(), 0);
  const std::vector<float> barriers = BarrierDistances(small);
  region.whole = *std::ranges::max_element(barriers) < kNothingStandsOut;
  if (!region.whole) {
    std::vector<float> stands_out = barriers, unlike = Unlikeness(small);
    ScaleToOne(stands_out);
    ScaleToOne(unlike);
    const double reach = kMiddle * std::sqrt(static_cast<double>(width * height));
    const auto towards_middle = [&](size_t size) {
      std::vector<float> weights(size);
      for (size_t i = 0; i < size; ++i) {
        const double off = static_cast<double>(i) - 0.5 * static_cast<double>(size - 1);
        weights[i] = static_cast<float>(std::exp(-off * off / (2 * reach * reach)));
      }
      return weights;
    };
    const std::vector<float> x_weight = towards_middle(width), y_weight = towards_middle(height);
    for (size_t y = 0; y < height; ++y) {
      for (size_t x = 0; x < width; ++x) {
        const size_t i = y * width + x;
        stands_out[i] = (stands_out[i] + unlike[i]) * (x_weight[x] * y_weight[y]);
      }
    }
    ScaleToOne(stands_out);
    for (size_t i = 0; i < stands_out.size(); ++i) region.map[i] = static_cast<uint8_t>(255 * stands_out[i] + 0.5f);
    const float noise = GroundNoise(small);
    const float quiet_cut = std::max(kLeastBarrier, kAboveNoise * noise);
    const bool quiet = noise < kQuietGround && *std::ranges::max_element(barriers) >= quiet_cut;
    region.mask =
        quiet ? CutAt(barriers, quiet_cut) : CutAt(stands_out, static_cast<float>(OtsuCut(region.map)) / 255 - 1e-6f);
    FillHoles(width, height, region.mask);
    DropSpecks(width, region.mask);
  }
  std::vector<size_t> across(width, 0), down(height, 0);
  for (size_t i = 0; i < region.mask.size(); ++i)
    across[i % width] += region.mask[i], down[i / width] += region.mask[i];
  const auto [left, right] = region.whole ? std::pair(size_t{0}, width) : Middle(across);
  const auto [top, bottom] = region.whole ? std::pair(size_t{0}, height) : Middle(down);
  const auto x = [&](size_t column) { return static_cast<int32_t>(column * full_width / width); };
  const auto y = [&](size_t row) { return static_cast<int32_t>(row * full_height / height); };
  region.box = {x(left), y(top), std::max(1, x(right) - x(left)), std::max(1, y(bottom) - y(top))};
  return region;
}

SalientRegion FindSalientRegion(const Pixels& pixels) {
  return FindSalientRegion(SmallLabPicture(pixels, kSalientSide), pixels.full_width, pixels.full_height);
}

}  // namespace likeness
