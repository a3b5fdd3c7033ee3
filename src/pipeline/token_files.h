// The token file of a shard, made beside its segment from the keypoints in its fingerprints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "index/snapshot.h"
#include "pipeline/home.h"
#include "store/feature_shard.h"
#include "store/release.h"
#include "types/epoch.h"

namespace likeness {

// The feature that the words are of; null when a release has none.
const FeatureKey* LocalFeatureOf(const std::vector<Release::Feature>& features);

// Makes the token file of a shard that has a fingerprint file, unless it is there, the features have no `local`, or the
// configuration leaves it out; whether it was made. A damaged value of one picture leaves out that picture's keypoints.
absl::StatusOr<bool> EnsureTokens(Home& home, const ShardId& shard, const std::string& generation,
                                  const std::vector<Release::Feature>& features);

// How many shards of a release have theirs; nothing where it has no `local`.
absl::StatusOr<std::optional<uint64_t>> CountTokenFiles(Home& home, const Release& release);

// The keypoints of every document of a release, for geometric verification: as the feature store has them, mapped.
// A token file has them by word alone, and less exact. Any thread.
class LocalRows {
 public:
  // Opens nothing yet. `home` must outlive it.
  LocalRows(Home& home, const Release& release);

  // Rows of docs/formats/local.md, in the order of words; none for a picture without keypoints, and none at all where
  // the release has no such feature. They live as long as this does. The first call for a shard opens its file, which a
  // store elsewhere fetches whole; then it takes less than a microsecond.
  // REQUIRES: `place` is in `snapshot`, which is of the release and has no other segments before its own
  // Errors: NotFound, DataLoss.
  absl::StatusOr<std::span<const std::byte>> Get(const Snapshot& snapshot, Snapshot::Place place) const;

 private:
  absl::StatusOr<const FeatureShard*> Shard(size_t segment) const;

  Home& home_;
  const FeatureKey* feature_ = nullptr;  // in release_
  const Release release_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<const FeatureShard>> shards_;  // guarded by mutex_; null: not opened yet
};

}  // namespace likeness
