// The nearest codes of one segment: by its graph where it has one, by exact scan where not or where that is as quick.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "index/deep_column.h"
#include "index/doc_set.h"
#include "types/doc_id.h"
#include "types/score.h"

namespace likeness {

// Nearest first, ties by DocId.
struct Neighbor {
  Distance distance;
  DocId doc;
  friend auto operator<=>(const Neighbor&, const Neighbor&) = default;
};

struct NearestOptions {
  size_t k = 100;                                 // at most so many
  std::optional<Distance> within = std::nullopt;  // at most so far, inclusive
  const DocSet* allowed = nullptr;                // may be null: every document is allowed
  Deadline deadline = Deadline::Never();
  bool exact = false;  // look at every document, whatever index the segment has
  float effort = 1;    // how hard a graph is searched, in [0.1, 100]: twice the effort, up to twice the time
};

// What searches did; add one up over the segments of a snapshot. A search that its deadline ends early has looked at
// `scanned` of `documents`, and its answer is right for those.
struct SearchStats {
  uint64_t documents = 0;  // in the segments asked
  uint64_t scanned = 0;   // of those, passed by the scan, whether or not a filter hid them; all that a graph stands for
  uint64_t compared = 0;  // codes whose distance was computed, those that an index has of its own included
  bool complete() const { return scanned == documents; }
};

// The nearest of the documents that have the feature and are allowed. Where the column has no graph, or so few are
// allowed or so many wanted that a scan is as quick, or `exact` is set, every one of them is looked at; else the graph
// finds them, nearly all (docs/indexes/nearest.md), and every stored code that is asked for at distance 0. The deadline
// is looked at about every millisecond; at least that much work is done even when it has passed already. One call uses
// one thread; any thread may call.
// Errors: InvalidArgument when `query` is not a code of the column's length or `allowed` not of its size.
absl::StatusOr<std::vector<Neighbor>> NearestCodes(const DeepColumn& column, std::span<const uint64_t> query,
                                                   const NearestOptions& options, SearchStats& stats);

}  // namespace likeness
