// Job 2 and the proof that nothing is missing: which cells (feature x shard) are done.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "pipeline/home.h"
#include "types/epoch.h"
#include "types/feature_key.h"

namespace likeness {

struct Cell {
  FeatureKey feature;
  ShardId shard;
  uint64_t images = 0;  // in the shard
  bool done = false;    // its feature shard is sealed
  uint64_t parts = 0;   // objects that wait to be joined; of a cell that is done, what a late worker has put
};

// Every cell of `features`, by feature, then shard. Asks the object store for names only.
absl::StatusOr<std::vector<Cell>> ReadCoverage(Home& home, std::span<const FeatureKey> features);

}  // namespace likeness
