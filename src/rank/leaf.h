// The leaf ranker: candidates from one segment's index, refined with full features (paper, section 2.3).
//
// Plain functions: no sockets, no state. In one process or over many machines the same query gives the same bytes.
#pragma once

#include <cstddef>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "index/doc_set.h"
#include "index/nearest.h"
#include "index/segment.h"
#include "types/fingerprint.h"
#include "types/hit.h"

namespace likeness {

// What is looked for: one deep feature in its compact forms.
struct VisualQuery {
  FeatureKey feature;
  DeepCode code;
  size_t k = 24;              // hits wanted
  size_t refine_least = 400;  // candidates that are refined at least, of each segment
  size_t refine_factor = 10;  // and at least so many for each hit wanted
  Deadline deadline = Deadline::Never();
};

// The best hits of one segment, best first, at most query.k. `allowed` (may be null: all) is a set over its documents.
// Candidates are the nearest codes by exact scan; their score is the cosine of the int8 vectors. A segment without the
// feature has no hits. `stats` is added to.
// Errors: InvalidArgument when the code or vector is not of the feature's shape.
absl::StatusOr<std::vector<Hit>> SearchLeaf(const Segment& segment, const VisualQuery& query, const DocSet* allowed,
                                            SearchStats& stats);

}  // namespace likeness
