// The fingerprint run: the five jobs in one call (paper, section 2.2).
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "pipeline/features.h"
#include "pipeline/home.h"
#include "pipeline/materialise.h"
#include "pipeline/progress.h"
#include "pipeline/work.h"

namespace likeness {

struct FingerprintReport {
  uint64_t new_images = 0;  // that got a shard
  WorkReport work;
  MaterialiseReport materialised;
  std::vector<FeatureKey> features;
};

// Epochs, plan, work, join and materialise for everything that is missing; nothing is computed twice. It may be stopped
// or killed anywhere and repeated at any time. A home without images is fine.
absl::StatusOr<FingerprintReport> RunFingerprint(Home& home, const Extractors& extractors, const RunControl& control);

}  // namespace likeness
