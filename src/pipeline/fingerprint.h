// The fingerprint run: the five jobs in one call (paper, section 2.2).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/status.h"
#include "pipeline/features.h"
#include "pipeline/home.h"
#include "pipeline/join.h"
#include "pipeline/materialise.h"
#include "pipeline/plan.h"
#include "pipeline/progress.h"
#include "pipeline/work.h"

namespace likeness {

struct FingerprintReport {
  PlanReport plan;  // the first of the run
  WorkReport work;
  JoinReport join;
  MaterialiseReport materialised;
  std::vector<FeatureKey> features;
};

// Job 3 until the queue is empty, for a plan of so many images, by whoever does it: this process or others.
using WorkFunction = std::function<absl::Status(const PlanReport& plan, const RunControl& control, WorkReport& report)>;

// Epochs, plan, work, join and materialise for everything that is missing; nothing is computed twice. It may be stopped
// or killed anywhere and repeated at any time. A home without images is fine.
// Errors: those of the jobs; Internal when what is planned is worked off again and again and still missing.
absl::StatusOr<FingerprintReport> RunFingerprint(Home& home, const std::vector<FeatureKey>& features,
                                                 const WorkFunction& work, const RunControl& control);
// The same with the work done in this process.
absl::StatusOr<FingerprintReport> RunFingerprint(Home& home, const Extractors& extractors, const RunControl& control);

}  // namespace likeness
