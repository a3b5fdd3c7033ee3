// The features that a home computes, with the extractors that compute them.
#pragma once

#include <memory>
#include <vector>

#include "base/status.h"
#include "feature/deep.h"
#include "pipeline/home.h"

namespace likeness {

using Extractors = std::vector<std::shared_ptr<const DeepExtractor>>;

// One extractor for each model that the configuration names, in its order. Each uses one thread for each call: a run
// makes many calls at once. Errors: those of the model library and of loading.
absl::StatusOr<Extractors> CurrentExtractors(const Home& home);

// The keys alone, from the model cards: loads nothing.
absl::StatusOr<std::vector<FeatureKey>> CurrentFeatures(const Home& home);

}  // namespace likeness
