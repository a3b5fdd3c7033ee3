// What a query brings with it for the signals that have a weight: from the collection where it knows the picture, else
// from its pixels.
#pragma once

#include <optional>

#include "base/status.h"
#include "catalog/catalog.h"
#include "image/pixels.h"
#include "rank/query.h"
#include "serve/serving.h"
#include "types/region.h"

namespace likeness {

// All functions: any thread.

bool WantsKeypoints(const Serving& serving, const SignalWeights& weights);

// Code, words, colors and keypoints of an image of the collection, as far as they are known: a picture need not be
// looked at again. Whether that is all that query.weights ask for; pixels have the rest. Errors: those of catalog and
// store.
absl::StatusOr<bool> TakeStored(const Serving& serving, const ImageRecord& image, Catalog& catalog, VisualQuery& query);

// The keypoints of a picture or of a region of it, in pixels of the upright original. REQUIRES: WantsKeypoints
// Errors: those of QueryKeypoints::Of.
absl::StatusOr<LocalValue> KeypointsOf(const Serving& serving, const Pixels& pixels,
                                       const std::optional<Region>& region);

// The color signature of a picture, as the feature store would have it; nothing where it is not asked for.
std::optional<PlainValue> ColorsOf(const Serving& serving, const SignalWeights& weights, const Pixels& pixels);

}  // namespace likeness
