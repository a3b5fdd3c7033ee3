// The keypoints of a query, as the token index of a release knows them.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/status.h"
#include "feature/vocabulary.h"
#include "image/decode_size.h"
#include "image/pixels.h"
#include "index/snapshot.h"
#include "pipeline/home.h"
#include "pipeline/token_files.h"
#include "store/release.h"
#include "types/feature_key.h"
#include "types/region.h"

namespace likeness {

// Any thread.
class QueryKeypoints {
 public:
  // Null where nothing can be asked: the release has no token index, or its words are of a vocabulary that this home
  // does not have now, which is logged. Reads no more than the head of the vocabulary; the first question maps it.
  // `home` must outlive it.
  static std::shared_ptr<const QueryKeypoints> Open(Home& home, const Release& release, const Snapshot& snapshot);

  const FeatureKey& feature() const { return feature_; }

  // Maps the vocabulary now. Errors: those of Vocabulary::Open.
  absl::Status Warm() const { return Words().status(); }

  // The rows that the release has of an image, without a look at the picture; nothing for a young one, or where
  // features lie in a store elsewhere, whose files would have to be fetched whole. Errors: those of LocalRows.
  absl::StatusOr<std::optional<std::string>> Stored(const Snapshot& snapshot, const Signature& signature) const;

  // What a picture must be decoded to at least, so that a part of it has the keypoints of a picture. Of pixels of the
  // upright original. REQUIRES: the region is within the picture, and not empty
  static DecodeSize SizeFor(uint32_t full_width, uint32_t full_height, const Region& region);

  // The rows of a picture, or of a part of it in pixels of the upright original; they take about 20 ms. The part is
  // looked at as if it were a picture. Few keypoints have several words each. Empty where there are no keypoints.
  // Errors: those of the vocabulary.
  absl::StatusOr<std::string> Of(const Pixels& pixels, const std::optional<Region>& region) const;

 private:
  QueryKeypoints(Home& home, const Release& release, FeatureKey feature, std::filesystem::path vocabulary);
  absl::StatusOr<std::shared_ptr<const Vocabulary>> Words() const;

  const FeatureKey feature_;
  const std::filesystem::path path_;
  const bool near_;  // features lie in a folder
  const LocalRows rows_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Vocabulary> vocabulary_;  // guarded by mutex_; null: not opened yet
};

}  // namespace likeness
