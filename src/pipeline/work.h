// Job 3 of the fingerprint run (paper, section 2.2): a worker takes chunks of work from the queue and turns pixels into
// features.
//
// Its promise: whatever dies, nothing is lost and no value counts twice. A chunk is held under a lease that is extended
// while it is worked on; what is computed is put as parts, if absent, before the chunk is acknowledged; a chunk that is
// delivered again computes only what no part holds.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/status.h"
#include "pipeline/features.h"
#include "pipeline/home.h"
#include "pipeline/progress.h"

namespace likeness {

// A chunk whose worker vanished so often is divided, until the image that ends its workers is found and quarantined.
inline constexpr uint32_t kMaxAttempts = 3;

struct WorkerOptions {
  std::string name;                             // different for each worker; see WorkerName
  bool until_idle = false;                      // return when the queue is empty, after waiting for what others hold
  uint64_t total = 0;                           // images that there are to do, for the progress; 0: not known
  std::chrono::milliseconds patience{120'000};  // with an engine that fails, before the worker gives up
};

struct WorkReport {
  uint64_t chunks = 0;       // acknowledged
  uint64_t decoded = 0;      // pictures that were decoded
  uint64_t computed = 0;     // values that were computed
  uint64_t quarantined = 0;  // pictures that cannot be used, each with its reason in the catalog
  uint64_t divided = 0;      // chunks that were divided because they ended their workers
};

// Under this name the catalog's rates have what reading a picture's pixels costs, whatever is computed from them.
inline const FeatureKey kDecodeRate = {"decode", "pixels"};

// HOST.PROCESS.NUMBER: no two workers that live have the same.
std::string WorkerName();

// Ends the leases of workers that ran on this machine and are dead, where the engine can. Returns how many there were.
absl::StatusOr<uint64_t> ForsakeDeadWorkers(Queue& queue);

// Works until it is stopped, or the queue is empty (until_idle), with home.config().threads threads. When it is stopped
// the lease is given back at once, and what is computed is put. A picture that cannot be read, or has no value of a
// feature, is recorded with its reason and never stops a chunk.
// Errors: Unavailable and other faults of the world that last longer than the patience; FailedPrecondition when a chunk
// asks for a feature that none of `extractors` computes.
absl::Status RunWorker(Home& home, const Extractors& extractors, const WorkerOptions& options,
                       const RunControl& control, WorkReport& report);

}  // namespace likeness
