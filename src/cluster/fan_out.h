// One query on its way to all replica sets.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>

#include "base/status.h"
#include "cluster/routing.h"
#include "rank/leaf.h"

namespace likeness {

// How much of the work may be second requests: earned by first ones, up to a small stock. Any thread.
class HedgeBudget {
 public:
  explicit HedgeBudget(double share) : share_(share) {}
  void Earn();
  bool Spend();
  uint64_t spent() const;

 private:
  static constexpr double kStock = 20;
  const double share_;
  mutable std::mutex mutex_;
  double stock_ = kStock;  // guarded by mutex_
  uint64_t spent_ = 0;     // guarded by mutex_
};

struct FanOutOptions {
  std::chrono::milliseconds patience;
  HedgeBudget* hedges = nullptr;  // null: no second requests
};

// Asks one leaf of each set, others in its place, and merges what they say, with a gap for each set that nobody
// answered for. Returns when all is known or the query's deadline is over. `routing` is of `snapshot`.
// Errors: InvalidArgument as a leaf gave it; Unavailable when no set was answered for and there is one or something
// unserved; DeadlineExceeded when the deadline was over before.
absl::StatusOr<LeafAnswer> FanOut(const Snapshot& snapshot, const Routing& routing, const VisualQuery& query,
                                  const AllowedDocs& allowed, const FanOutOptions& options);

}  // namespace likeness
