// Where the segments of a release are searched: in this process, or on leaves elsewhere. The same question gives the
// same bytes either way.
#pragma once

#include <cstddef>
#include <string>

#include "rank/leaf.h"

namespace likeness {

// Who a root asks (rank/root.h): what follows from the leaves' answer does not depend on who searched. Any thread.
class Searcher {
 public:
  virtual ~Searcher() = default;

  // As AnswerLeaf over the whole snapshot. What could not be searched is told in the stats and the gaps. Errors: those
  // of AnswerLeaf; Unavailable or DeadlineExceeded when nothing could be searched at all.
  virtual absl::StatusOr<LeafAnswer> Ask(const Snapshot& snapshot, const VisualQuery& query,
                                         const AllowedDocs& allowed) = 0;

  // Whether a snapshot can be searched as a whole now: until then a service stays with the release that it serves.
  virtual bool Ready(const Snapshot&) { return true; }

  // What it counts, in the text format of Prometheus.
  virtual std::string MetricsText() const { return {}; }
};

// Segments in this process, `threads` at once.
class LocalSearcher final : public Searcher {
 public:
  explicit LocalSearcher(size_t threads) : threads_(threads) {}
  absl::StatusOr<LeafAnswer> Ask(const Snapshot& snapshot, const VisualQuery& query,
                                 const AllowedDocs& allowed) override {
    return AnswerLeaf(snapshot, query, allowed, threads_);
  }

 private:
  const size_t threads_;
};

}  // namespace likeness
