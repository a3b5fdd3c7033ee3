// The shape of a feature's values.
#pragma once

#include <cstdint>

namespace likeness {

// The type of one element, as safetensors has them.
enum class Dtype : uint8_t { kBool, kU8, kI8, kI16, kU16, kF16, kBF16, kI32, kU32, kF32, kI64, kU64, kF64 };

// A value is one row of `dimension` elements, or any number of such rows.
struct FeatureLayout {
  Dtype dtype = Dtype::kF16;
  uint32_t dimension = 0;  // elements in a row, > 0
  bool ragged = false;     // any number of rows, also none; otherwise exactly one
  friend bool operator==(const FeatureLayout&, const FeatureLayout&) = default;
};

}  // namespace likeness
