#include "rank/query.h"

#include <cmath>
#include <cstring>

#include "feature/color_query.h"

namespace likeness {
namespace {

constexpr char kColorMatcher[] = "color";

}  // namespace

absl::StatusOr<PlainMatcher> MatcherOf(const PlainWish& wish) {
  if (wish.matcher != kColorMatcher) {
    return absl::InvalidArgumentError("there is no way of matching called '" + wish.matcher.substr(0, 64) +
                                      "': the query was made by a newer version");
  }
  float lab[3];
  if (wish.wanted.size() != sizeof(lab)) return absl::InvalidArgumentError("the wanted color is not three numbers");
  std::memcpy(lab, wish.wanted.data(), sizeof(lab));
  for (const float value : lab) {
    if (!std::isfinite(value)) return absl::InvalidArgumentError("the wanted color is not three numbers");
  }
  return [query = ColorQuery{{lab[0], lab[1], lab[2]}}](std::span<const std::byte> value) {
    const std::optional<ColorSignature> palette = ParseColorValue(value);
    return palette ? query.Match(*palette) : 0.0f;
  };
}

PlainWish ColorWishOf(const FeatureKey& feature, float l, float a, float b, float weight) {
  const float lab[3] = {l, a, b};
  return {feature, weight, kColorMatcher, std::string(reinterpret_cast<const char*>(lab), sizeof(lab))};
}

}  // namespace likeness
