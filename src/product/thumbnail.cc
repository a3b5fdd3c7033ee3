#include "product/thumbnail.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "image/resample.h"

namespace likeness {
namespace {

constexpr int kSmallestSide = 4;  // of a level

}  // namespace

absl::StatusOr<Thumbnail> Thumbnail::Of(const Pixels& pixels) {
  if (pixels.width == 0 || pixels.height == 0) return absl::InvalidArgumentError("there are no pixels");
  Pixels reduced;
  const Pixels* from = &pixels;
  if (const uint32_t longer = std::max(pixels.width, pixels.height); longer > kSide) {
    ResampleOptions options;
    const auto side = [&](uint32_t length) {
      return std::max<uint32_t>(1, static_cast<uint32_t>((uint64_t{length} * kSide + longer / 2) / longer));
    };
    options.width = side(pixels.width);
    options.height = side(pixels.height);
    options.fit = Fit::kStretch;
    LIKENESS_ASSIGN_OR_RETURN(reduced, Resample(pixels, std::nullopt, options));
    from = &reduced;
  }
  Thumbnail thumbnail;
  thumbnail.frame_ = FrameOf(pixels.full_width != 0 ? pixels.full_width : pixels.width,
                             pixels.full_height != 0 ? pixels.full_height : pixels.height);
  thumbnail.pixel_ = std::max(thumbnail.frame_.width / static_cast<float>(from->width),
                              thumbnail.frame_.height / static_cast<float>(from->height));
  Level level;
  level.width = static_cast<int>(from->width);
  level.height = static_cast<int>(from->height);
  const size_t count = size_t{from->width} * from->height;
  for (std::vector<float>& channel : level.channels) channel.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const float r = from->rgb[3 * i], g = from->rgb[3 * i + 1], b = from->rgb[3 * i + 2];
    const float luma = Rec601::kRed * r + Rec601::kGreen * g + Rec601::kBlue * b;
    level.channels[0][i] = luma;
    level.channels[1][i] = Rec601::kBlueDifference * (b - luma);
    level.channels[2][i] = Rec601::kRedDifference * (r - luma);
  }
  thumbnail.levels_.push_back(std::move(level));
  while (std::min(thumbnail.levels_.back().width, thumbnail.levels_.back().height) >= 2 * kSmallestSide) {
    const Level& last = thumbnail.levels_.back();
    Level half;
    half.width = last.width / 2;
    half.height = last.height / 2;
    for (size_t c = 0; c < kChannels; ++c) {
      half.channels[c].resize(static_cast<size_t>(half.width) * static_cast<size_t>(half.height));
      float* out = half.channels[c].data();
      for (int y = 0; y < half.height; ++y) {
        const float* row = last.channels[c].data() + static_cast<ptrdiff_t>(2 * y) * last.width;
        const float* next = row + last.width;
        for (int x = 0; x < half.width; ++x) {
          *out++ = (row[2 * x] + row[2 * x + 1] + next[2 * x] + next[2 * x + 1]) * 0.25f;
        }
      }
    }
    thumbnail.levels_.push_back(std::move(half));
  }
  return thumbnail;
}

Thumbnail::Place Thumbnail::Find(Point point, float width) const {
  Place place;
  const Level& first = levels_[0];
  place.x = point.x * static_cast<float>(first.width) / frame_.width;
  place.y = point.y * static_cast<float>(first.height) / frame_.height;
  const float level = width > pixel_ ? std::log2(width / pixel_) : 0;
  const float last = static_cast<float>(levels_.size() - 1);
  const float kept = std::min(level, last);
  place.level = static_cast<size_t>(kept);
  place.share = kept - static_cast<float>(place.level);
  return place;
}

float Thumbnail::Bilinear(const Level& level, size_t channel, float x, float y) {
  x = std::clamp(x - 0.5f, 0.0f, static_cast<float>(level.width - 1));
  y = std::clamp(y - 0.5f, 0.0f, static_cast<float>(level.height - 1));
  const int left = std::min(static_cast<int>(x), std::max(0, level.width - 2));
  const int top = std::min(static_cast<int>(y), std::max(0, level.height - 2));
  const float fx = x - static_cast<float>(left), fy = y - static_cast<float>(top);
  const float* row = level.channels[channel].data() + static_cast<ptrdiff_t>(top) * level.width + left;
  const ptrdiff_t right = level.width > 1 ? 1 : 0, below = level.height > 1 ? level.width : 0;
  const float upper = row[0] + fx * (row[right] - row[0]);
  const float lower = row[below] + fx * (row[below + right] - row[below]);
  return upper + fy * (lower - upper);
}

float Thumbnail::Value(const Place& place, size_t channel) const {
  const float factor = std::ldexp(1.0f, -static_cast<int>(place.level));
  const float fine = Bilinear(levels_[place.level], channel, place.x * factor, place.y * factor);
  if (place.share <= 0 || place.level + 1 >= levels_.size()) return fine;
  const float coarse = Bilinear(levels_[place.level + 1], channel, place.x * factor * 0.5f, place.y * factor * 0.5f);
  return fine + place.share * (coarse - fine);
}

std::array<float, Thumbnail::kChannels> Thumbnail::At(Point point, float width) const {
  const Place place = Find(point, width);
  return {Value(place, 0), Value(place, 1), Value(place, 2)};
}

float Thumbnail::LumaAt(Point point, float width) const { return Value(Find(point, width), 0); }

}  // namespace likeness
