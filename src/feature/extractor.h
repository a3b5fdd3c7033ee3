// What every kind of feature is computed by, whatever it computes: pixels in, the bytes of a value out.
//
//   extractors of a run -> one decode for each distinct decode_size() -> Extract, `batch()` pictures at once
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/status.h"
#include "image/decode_size.h"
#include "image/pixels.h"
#include "types/feature_key.h"
#include "types/feature_layout.h"

namespace likeness {

// Rows of layout().dimension elements, little-endian, one row after another; or, as a data error, the reason why this
// picture has no value (a picture of one color has no hash). Its message finishes "this image has no FEATURE: ".
using FeatureValue = absl::StatusOr<std::vector<std::byte>>;

// Constant after construction; any thread.
class Extractor {
 public:
  virtual ~Extractor() = default;

  virtual const FeatureKey& key() const = 0;
  virtual FeatureLayout layout() const = 0;

  // What DecodeImage must be asked for. The same picture decoded to another size may have another value, so that
  // everybody who wants equal values asks for exactly this.
  virtual DecodeSize decode_size() const { return kStandardSize; }

  // Pictures that one Extract takes best.
  virtual size_t batch() const { return 1; }

  // One value for each of `pictures`, in their order; none depends on the others. Numbers are finite.
  // Errors of the whole call: of the world alone (no memory, an engine that fails).
  virtual absl::StatusOr<std::vector<FeatureValue>> Extract(std::span<const Pixels> pictures) const = 0;
};

}  // namespace likeness
