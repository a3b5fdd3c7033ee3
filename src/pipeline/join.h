// Job 4 of the fingerprint run (paper, section 2.2): the parts of a cell to its shard.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "pipeline/home.h"
#include "pipeline/progress.h"
#include "types/feature_key.h"

namespace likeness {

struct JoinReport {
  uint64_t joined = 0;      // cells that became whole
  uint64_t incomplete = 0;  // cells that still lack images
};

// Seals every cell of `features` whose parts hold all images of the shard, and takes the parts away. It may be repeated
// at any time, also by several at once. Errors: those of the catalog and the store.
absl::StatusOr<JoinReport> RunJoin(Home& home, const std::vector<FeatureKey>& features, const RunControl& control);

}  // namespace likeness
