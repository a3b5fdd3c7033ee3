// Features of pictures that came through the API: all features of a few pictures in one object, which lies in the store
// until their shards hold them. Format: docs/formats/young-batches.md.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "object/blob.h"
#include "store/feature_shard.h"

namespace likeness {

// One feature shard for each feature, with the pictures that were looked at for it. What a shard says of its place
// (ShardInfo::shard) means nothing: the pictures belong to none yet.
struct YoungBatch {
  std::vector<FeatureShard> features;  // sorted by key, distinct

  // Nothing when the batch does not have the feature.
  const FeatureShard* Find(const FeatureKey& key) const;
  // Every picture of any feature, sorted, distinct.
  std::vector<Signature> Signatures() const;
};

inline constexpr std::string_view kYoungMagic = "LKYOUNG1";

// The object: sealed shards, one after another. REQUIRES: of distinct features
std::string PackYoungBatch(std::span<const std::string> sealed_shards);

// Checks everything, checksums of the values included. Errors: DataLoss; Unimplemented for a newer version.
absl::StatusOr<YoungBatch> OpenYoungBatch(const Blob& blob);

}  // namespace likeness
