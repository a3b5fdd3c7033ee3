// The binarizer of each deep feature: trained once from the collection itself, then kept (docs/formats/binarizer.md).
#pragma once

#include <string>

#include "base/status.h"
#include "feature/binarizer.h"
#include "pipeline/home.h"
#include "types/feature_key.h"

namespace likeness {

struct StoredBinarizer {
  std::string digest;  // Binarizer::Digest
  Binarizer binarizer;
};

// The binarizer that a new release should use for `feature`: the one trained on the most vectors, or a new one when
// there is none, or when the collection has grown to at least four times what it was trained on and more vectors would
// still help. Trains on at most kBinarizerSample vectors, evenly spread over the sealed shards; a new binarizer costs
// no inference, for the vectors are kept. Errors: those of the store; FailedPrecondition when no shard is sealed.
inline constexpr size_t kBinarizerSample = 20'000;
absl::StatusOr<StoredBinarizer> EnsureBinarizer(Home& home, const FeatureKey& feature);

// Errors: NotFound, DataLoss.
absl::StatusOr<Binarizer> ReadBinarizer(Home& home, const FeatureKey& feature, const std::string& digest);

}  // namespace likeness
