// The first stage of a leaf by visual words: documents that have keypoints of the query where they should lie (paper,
// section 2.3; J. Philbin et al., CVPR 2007, section 4).
//
//   keypoints of the query -> token index -> the best by words, turn and scale -> verified by an affine map
#pragma once

#include <vector>

#include "base/status.h"
#include "index/doc_set.h"
#include "rank/leaf.h"
#include "rank/query.h"
#include "types/doc_id.h"
#include "types/hit.h"

namespace likeness {

struct TokenCandidate {
  DocId doc;
  TokenEvidence evidence;
};

// What so many verified keypoints say, in [0, 1): 0 for as many as chance brings, 1/2 for 14, 3/4 for 34.
float TokenSignal(uint32_t verified);

// The documents of a segment whose TokenSignal is above 0, by rising DocId; at most query.token_candidates. None where
// the query has no keypoints, their signal no weight, or the segment no token index of their feature. `allowed` may be
// null: all. Any thread. Errors: those of SearchTokens, DataLoss for rows that are none.
absl::StatusOr<std::vector<TokenCandidate>> FindByTokens(const LeafSegment& leaf, const VisualQuery& query,
                                                         const DocSet* allowed);

// Whether FindByTokens has anything to look in, so that a document which it does not find has the signal 0, not none.
bool AsksTokens(const LeafSegment& leaf, const VisualQuery& query);

}  // namespace likeness
