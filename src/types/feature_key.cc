#include "types/feature_key.h"

#include <algorithm>

#include "base/bytes.h"

namespace likeness {

FeatureKey FeatureKey::Of(std::string_view type, std::string_view description) {
  return {std::string(type), Sha256Hex(AsBytes(description)).substr(0, 12)};
}

std::optional<FeatureKey> FeatureKey::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view type = text.substr(0, slash), version = text.substr(slash + 1);
  const auto lower = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const auto in_type = [&](char c) { return lower(c) || c == '_' || c == '-' || c == '.'; };
  if (type.empty() || version.empty() || !(type[0] >= 'a' && type[0] <= 'z') || !std::ranges::all_of(type, in_type) ||
      !std::ranges::all_of(version, lower)) {
    return std::nullopt;
  }
  return FeatureKey{std::string(type), std::string(version)};
}

}  // namespace likeness
