// Where the segments of a release are searched: in this process, or on leaves elsewhere. The same question gives the
// same bytes either way.
#pragma once

#include <cstddef>

#include "rank/root.h"

namespace likeness {

// All that a root asks of segments when it ranks: candidates, refined by each leaf, in one list. What follows from that
// list alone (collapse, floor, conformity) is the root's own, and does not depend on who searched. Any thread.
class Searcher {
 public:
  virtual ~Searcher() = default;

  // As SearchRoot. What could not be searched is told in the coverage and its gaps. Errors: InvalidArgument as
  // SearchRoot; Unavailable or DeadlineExceeded when nothing could be searched at all.
  virtual absl::StatusOr<RootAnswer> Search(const Snapshot& snapshot, const VisualQuery& query,
                                            const AllowedDocs& allowed) = 0;

  // Whether a snapshot can be searched as a whole now: until then a service stays with the release that it serves.
  virtual bool Ready(const Snapshot&) { return true; }
};

// Segments in this process, `threads` at once.
class LocalSearcher final : public Searcher {
 public:
  explicit LocalSearcher(size_t threads) : threads_(threads) {}
  absl::StatusOr<RootAnswer> Search(const Snapshot& snapshot, const VisualQuery& query,
                                    const AllowedDocs& allowed) override {
    return SearchRoot(snapshot, query, allowed, threads_);
  }

 private:
  const size_t threads_;
};

}  // namespace likeness
