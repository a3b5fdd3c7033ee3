// The root ranker: fans a query out over the segments of a snapshot and merges what they answer (paper, section 2.3).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "index/snapshot.h"
#include "rank/leaf.h"

namespace likeness {

struct RootAnswer {
  std::vector<Hit> hits;  // best first, ties by signature, every image once
  Coverage coverage;
};

// The documents that a query may find: one set a segment, in the order of the snapshot. A null set means all.
using AllowedDocs = std::vector<std::shared_ptr<const DocSet>>;

// `threads` segments at once; 0 is taken for 1. A deadline that passes gives what was found and says so in the
// coverage. REQUIRES: allowed is empty (all) or has one entry a segment. Errors: those of SearchLeaf.
absl::StatusOr<RootAnswer> SearchRoot(const Snapshot& snapshot, const VisualQuery& query, const AllowedDocs& allowed,
                                      size_t threads);

// One list, best first, ties by signature, of the best `k` distinct images. The lists are taken apart.
std::vector<Hit> MergeHits(std::span<std::vector<Hit>> lists, size_t k);

}  // namespace likeness
