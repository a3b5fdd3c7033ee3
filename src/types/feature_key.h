// The name of a feature: a type and a version.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace likeness {

// Written "deep.efficientnet_lite1/3f9a1c0d2b4e". The version is a digest, in hexadecimal, of everything that can
// change a value: algorithm revision, parameters, model file, numeric precision, and the versions that it is computed
// from. Two equal keys mean equal bytes.
struct FeatureKey {
  std::string type;
  std::string version;

  // Makes the version from a canonical description of all that determines the values.
  static FeatureKey Of(std::string_view type, std::string_view description);
  // Nothing unless `text` is TYPE/VERSION; a type is made of lower-case letters, digits, '_', '-' and '.'.
  static std::optional<FeatureKey> Parse(std::string_view text);
  std::string ToString() const { return type + "/" + version; }

  friend auto operator<=>(const FeatureKey&, const FeatureKey&) = default;
};

}  // namespace likeness
