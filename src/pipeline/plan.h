// Jobs 1 and 2 of the fingerprint run (paper, section 2.2): new images to shards, and missing cells to chunks of work
// in the queue.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "pipeline/home.h"
#include "pipeline/progress.h"
#include "types/feature_key.h"

namespace likeness {

struct PlanReport {
  uint64_t new_images = 0;  // that got a shard
  uint64_t adopted = 0;     // values that were computed when their pictures came through the API
  uint64_t cells = 0;       // that are not sealed
  uint64_t images = 0;      // that lack a feature of such a cell
  uint64_t chunks = 0;      // in which they lie
  uint64_t published = 0;   // of these, the ones that were not in the queue yet
};

// Publishes what is missing of `features`. It may be repeated at any time, also by several at once: the same state
// gives the same chunks, and a chunk is in the queue once. Errors: those of the catalog, the store and the queue.
absl::StatusOr<PlanReport> RunPlan(Home& home, const std::vector<FeatureKey>& features, const RunControl& control);

// Images in a chunk: as configured, or what one worker does in the configured time, by the rates measured in this
// collection. A power of two, so that a rate that changes a little changes nothing.
absl::StatusOr<uint64_t> ChunkImages(Home& home, const std::vector<FeatureKey>& features);

}  // namespace likeness
