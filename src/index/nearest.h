// The nearest codes of one segment, by exact scan.
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
};

// What searches did; add one up over the segments of a snapshot. A search that its deadline ends early has looked at
// `scanned` of `documents`, and its answer is right for those.
struct SearchStats {
  uint64_t documents = 0;  // in the segments asked
  uint64_t scanned = 0;    // of those, passed by the scan, whether or not a filter hid them
  bool complete() const { return scanned == documents; }
};

// Looks at every document that has the feature and is allowed. The deadline is looked at about every millisecond; at
// least that much work is done even when it has passed already. One call uses one thread; any thread may call.
// Errors: InvalidArgument when `query` is not a code of the column's length or `allowed` not of its size.
absl::StatusOr<std::vector<Neighbor>> NearestCodes(const DeepColumn& column, std::span<const uint64_t> query,
                                                   const NearestOptions& options, SearchStats& stats);

}  // namespace likeness
