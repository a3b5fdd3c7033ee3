// The kinds of features that there are.
#pragma once

#include <span>
#include <string_view>

namespace likeness {

// One kind. Its versions and values: docs/formats/.
struct FeatureType {
  std::string_view name;      // as `[features] types` of likeness.toml has it; a key's type is the name or NAME.MODEL
  std::string_view computes;  // in one line, for people
  std::string_view kept_as;   // in the feature store
  std::string_view source;    // the publication that it follows
  bool available = true;      // false: its place is kept, nothing computes it yet
};

// In the order in which they are shown.
std::span<const FeatureType> FeatureTypes();

// The type that a key of this type is of ("deep" for "deep.efficientnet_lite1"); null when there is none.
const FeatureType* FindFeatureType(std::string_view key_type);

}  // namespace likeness
