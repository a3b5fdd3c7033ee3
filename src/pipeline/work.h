// Job 3: pixels to features, a chunk of a shard at a time, and job 4: a cell's parts to its shard (paper, section 2.2).
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"
#include "pipeline/features.h"
#include "pipeline/home.h"
#include "pipeline/progress.h"
#include "types/epoch.h"

namespace likeness {

struct WorkReport {
  uint64_t decoded = 0;      // pictures that were decoded
  uint64_t computed = 0;     // values that were computed
  uint64_t quarantined = 0;  // pictures that cannot be used, each with its reason in the catalog
};

// Computes what is missing of one shard for all `extractors`, each picture decoded once for all of them, and joins the
// parts of every cell that is complete. A part holds what one chunk gave and is put if absent; a run that is stopped
// puts what it has. A picture that cannot be read is recorded with its reason and never stops the run.
// Errors: those of the store, the catalog and the model; Unavailable when a folder of pictures is not there.
absl::Status WorkShard(Home& home, const ShardId& shard, const Extractors& extractors, const RunControl& control,
                       uint64_t done_before, uint64_t total, WorkReport& report);

}  // namespace likeness
