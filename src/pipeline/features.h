// The features that a home computes, with the extractors that compute them.
#pragma once

#include <memory>
#include <vector>

#include "base/status.h"
#include "feature/deep.h"
#include "feature/extractor.h"
#include "pipeline/home.h"

namespace likeness {

using Extractors = std::vector<std::shared_ptr<const Extractor>>;

// How the home's deep features are computed.
DeepOptions DeepOptionsOf(const Home& home);

// The extractors of the types that the configuration names, in its order, for deep features one for each of its models.
// Each uses one thread for each call: a run makes many calls at once. Errors: those of the model library and of
// loading.
absl::StatusOr<Extractors> CurrentExtractors(const Home& home);

// The keys alone, in the same order: loads nothing.
absl::StatusOr<std::vector<FeatureKey>> CurrentFeatures(const Home& home);

// Those of `extractors`.
std::vector<FeatureKey> KeysOf(const Extractors& extractors);

}  // namespace likeness
