// The leaf ranker: candidates from one segment's index, refined with full features (paper, section 2.3).
//
// Plain functions: no sockets, no state. In one process or over many machines the same query gives the same bytes.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "index/doc_set.h"
#include "index/nearest.h"
#include "index/segment.h"
#include "types/fingerprint.h"
#include "types/hit.h"

namespace likeness {

// A wish beside the look: of a plain feature, "in red".
struct PlainWish {
  FeatureKey feature;
  float weight = 0.5f;  // of the wish in the score, in [0, 1]; the look has the rest
  // How well a stored value meets it, in [0, 1]. Any thread.
  std::function<float(std::span<const std::byte> value)> match;
  size_t refine_least = 2000;  // candidates by the look that are looked at for the wish at least, of each segment
};

// What is looked for: one deep feature in its compact forms, a wish, or both.
struct VisualQuery {
  FeatureKey feature;
  DeepCode code;  // empty: the wish alone decides
  std::optional<PlainWish> wish = {};
  size_t k = 24;              // hits wanted
  size_t refine_least = 400;  // candidates that are refined at least, of each segment
  size_t refine_factor = 10;  // and at least so many for each hit wanted
  Deadline deadline = Deadline::Never();
};

// The best hits of one segment, best first, at most query.k. `allowed` (may be null: all) is a set over its documents.
// Candidates are the nearest codes by exact scan; their score is the cosine of the int8 vectors. With a wish there are
// more candidates and the score is (1 - weight) cosine + weight match, where an image without the plain feature has a
// match of 0. A wish alone looks at every document that has its feature; the score is the match, and a match of 0 is no
// hit. A segment without the feature has no hits. `stats` is added to.
// Errors: InvalidArgument when the code or vector is not of the feature's shape. REQUIRES: a code or a wish
absl::StatusOr<std::vector<Hit>> SearchLeaf(const Segment& segment, const VisualQuery& query, const DocSet* allowed,
                                            SearchStats& stats);

}  // namespace likeness
