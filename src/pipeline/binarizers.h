// The binarizer of each deep feature: trained once from the collection itself, then kept (docs/formats/binarizer.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

// A binarizer as it lies in the store.
struct BinarizerEntry {
  FeatureKey feature;  // exactly the version that it was trained on
  std::string digest;
  uint64_t trained_on = 0;  // vectors
  uint64_t bits = 0;
};
// All, or those of one type of feature, by type, then digest. One that vanishes meanwhile is left out.
absl::StatusOr<std::vector<BinarizerEntry>> ListBinarizers(Home& home, const std::string& feature_type = {});
// The one of `entries` that a release would use now, but for a new one; null when there is none.
const BinarizerEntry* BestBinarizer(const std::vector<BinarizerEntry>& entries, const FeatureKey& feature,
                                    uint64_t bits);
// Bits of a code, as configured: `dimension` is that of the feature's vectors.
uint64_t CodeBits(const Home& home, uint64_t dimension);

// Errors: NotFound, DataLoss.
absl::StatusOr<Binarizer> ReadBinarizer(Home& home, const FeatureKey& feature, const std::string& digest);

}  // namespace likeness
