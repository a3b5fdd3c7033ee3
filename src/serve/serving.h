// What answers queries at one moment.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "feature/binarizer.h"
#include "index/snapshot.h"
#include "pipeline/young.h"
#include "rank/floor.h"
#include "rank/root.h"
#include "serve/query_keypoints.h"
#include "store/release.h"
#include "types/feature_key.h"

namespace likeness {

// Never changes. A request takes it once and keeps to it.
struct Serving {
  Release release;
  std::shared_ptr<const Snapshot> snapshot;              // the release's segments, then young ones (Snapshot::young)
  FeatureKey feature;                                    // that queries are compared by
  std::shared_ptr<const Binarizer> binarizer;            // of `feature`
  std::optional<FeatureKey> color;                       // that colors are looked for in, if the release has it
  SignalWeights weights = {};                            // of the signals of a hit
  std::shared_ptr<const FloorModel> floor = {};          // calibrated for `feature`; null: nothing is
  bool own_floor = false;                                // it was calibrated in this home, not elsewhere
  std::optional<FeatureKey> hash = {};                   // that near-duplicates are told by, if the release has it
  std::shared_ptr<const QueryKeypoints> keypoints = {};  // for the token index; null: it cannot be asked
  std::vector<std::shared_ptr<const YoungObject>> young = {};  // batches that the young segments are made of
  AllowedDocs pinned = {};  // documents that are still pinned and not removed; empty, or null for a segment: all are
  uint64_t visible = 0;     // how many those are
};

}  // namespace likeness
