// Job 5: joined fingerprints in sorted files, and the index release built from them, one task a shard (paper, section
// 2.2 and 2.3).
//
// Files of a shard lie under the name of their generation, the digest of the feature versions and binarizers that they
// are made with: a new day's epoch adds files, a new version of a feature makes a new generation, and what is there
// already is never made again.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "index/segment_writer.h"
#include "pipeline/features.h"
#include "pipeline/home.h"
#include "pipeline/progress.h"
#include "store/release.h"

namespace likeness {

// The versions that a build is made with.
std::string GenerationOf(const std::vector<Release::Feature>& features);

// The features that segments keep as they are; others only the fingerprints keep.
std::vector<SegmentWriter::Plain> PlainColumnsOf(const std::vector<Release::Feature>& features);

// The features that a new release is made of, with their binarizers; trains those that are missing.
// Errors: FailedPrecondition when a feature has no sealed shard.
absl::StatusOr<std::vector<Release::Feature>> BuildFeatures(Home& home, const std::vector<FeatureKey>& keys);

struct MaterialiseReport {
  uint64_t shards = 0;  // that were made; those that were there are not counted
  uint64_t images = 0;  // in them
};

// Writes the fingerprint file of every shard whose features are all sealed.
absl::StatusOr<MaterialiseReport> MaterialiseFingerprints(Home& home, const std::vector<Release::Feature>& features,
                                                          const RunControl& control);

struct IndexReport {
  Release release;
  bool created = false;   // it was not there before
  bool switched = false;  // it serves now and did not before; never set by CreateRelease
  MaterialiseReport built;
};

// Builds the segment of every shard that has a fingerprint file of the generation, and records the release, which does
// not serve yet. The same content gives the same release, so that it can be repeated. Nothing when it was stopped.
// Errors: FailedPrecondition when there is no fingerprint file at all.
absl::StatusOr<std::optional<IndexReport>> CreateRelease(Home& home, const std::vector<Release::Feature>& features,
                                                         const RunControl& control,
                                                         const Clock& clock = Clock::System());

// CreateRelease, and makes the release the current one.
absl::StatusOr<std::optional<IndexReport>> BuildIndex(Home& home, const std::vector<Release::Feature>& features,
                                                      const RunControl& control, const Clock& clock = Clock::System());

}  // namespace likeness
