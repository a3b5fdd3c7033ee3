// A root's leaves: every query to all of them at once, with replicas in the place of those that fail or dawdle.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "rank/searcher.h"

namespace likeness {

struct RemoteOptions {
  // Addresses, "host:port", asked for several times a second by one thread: a list, or what a registry knows.
  std::function<std::vector<std::string>()> leaves;
  std::string token;  // that leaves want; empty: none
  // For one leaf to answer, however late the query's own deadline is: what is missing then is a gap.
  std::chrono::milliseconds patience{1000};
  bool hedge = true;
  double hedge_share = 0.1;  // of all calls may be second requests, in the long run
  // For leaves to open a new release, before a root moves on to what there is of it.
  std::chrono::milliseconds switch_patience{60'000};
};

// Who serves which segment it learns from the leaves. A query goes to one leaf of each set of replicas, the one with
// the least to do; to another one when that fails, or when it has not answered within the time that the quicker of them
// needs for 95 of 100 queries. The answer is that of one process with all segments, or says what is missing.
class RemoteSearcher final : public Searcher {
 public:
  // Waits up to `first_wait` until every leaf of the list has answered once.
  static std::unique_ptr<RemoteSearcher> Start(RemoteOptions options,
                                               std::chrono::milliseconds first_wait = std::chrono::milliseconds(3000));
  ~RemoteSearcher() override;

  absl::StatusOr<LeafAnswer> Ask(const Snapshot& snapshot, const VisualQuery& query,
                                 const AllowedDocs& allowed) override;
  bool Ready(const Snapshot& snapshot) override;

  // What is known of each leaf.
  std::string MetricsText() const override;

 private:
  class Leaves;
  explicit RemoteSearcher(std::unique_ptr<Leaves> leaves);

  std::unique_ptr<Leaves> leaves_;
};

}  // namespace likeness
