// The leaf ranker: candidates from a segment's index, refined with full features (paper, section 2.3).
//
// Plain functions: no sockets, no state. In one process or over many machines the same query gives the same bytes.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "index/doc_set.h"
#include "index/segment.h"
#include "index/snapshot.h"
#include "rank/query.h"

namespace likeness {

// One segment with what lies beside it. A view: all of it must outlive the search.
struct LeafSegment {
  LeafSegment(const Segment& of) : segment(&of) {}  // NOLINT: a segment alone is one
  LeafSegment(const Snapshot& snapshot, size_t i)
      : segment(snapshot.segments()[i].get()), metadata(snapshot.metadata(i)), tokens(snapshot.tokens(i)) {}

  const Segment* segment;
  const Segment* metadata = nullptr;   // what people wrote (rank/metadata.h); may be null
  const TokenIndex* tokens = nullptr;  // postings of its visual words; may be null
};

// The best hits of one segment, best first, at most query.k. `allowed` (may be null: all) is a set over its documents.
// Candidates are the nearest codes, and with keypoints what FindByTokens has; their score is the linear model's over
// their signals. With a wish there are more
// candidates and the score is (1 - weight) * that + weight * match, where an image without the plain feature has a
// match of 0. A wish alone looks at every document that has its feature; the score is the match, and a match of 0 is no
// hit. A segment without the feature has no hits. A score is never NaN. `stats` and `background` (may be null) are
// added to. Errors: InvalidArgument when the code or vector is not of the feature's shape, a weight is no finite
// number, or there is no such matcher; or neither a code nor a wish.
absl::StatusOr<std::vector<Hit>> SearchLeaf(const LeafSegment& leaf, const VisualQuery& query, const DocSet* allowed,
                                            SearchStats& stats, Background* background = nullptr);

// The documents that a query may find: one set a segment, in the order of the snapshot. A null set means all.
using AllowedDocs = std::vector<std::shared_ptr<const DocSet>>;

// What a leaf answers that has the segments of `snapshot`, `threads` of them at once; 0 is taken for 1. A deadline that
// passes gives what was found, and the stats say so. REQUIRES: allowed is empty (all) or has one entry a segment.
// Errors: those of SearchLeaf.
absl::StatusOr<LeafAnswer> AnswerLeaf(const Snapshot& snapshot, const VisualQuery& query, const AllowedDocs& allowed,
                                      size_t threads);

// One list, best first, ties by signature, of the best `k` distinct images. The lists are taken apart.
std::vector<Hit> MergeHits(std::span<std::vector<Hit>> lists, size_t k);

// What leaves that share a collection say together: the same as one leaf that had all their segments. The answers are
// taken apart.
LeafAnswer MergeAnswers(std::span<LeafAnswer> answers, size_t k);

}  // namespace likeness
