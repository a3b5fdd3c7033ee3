#include "rank/root.h"

#include <algorithm>
#include <utility>

#include "rank/collapse.h"

namespace likeness {
namespace {

constexpr size_t kMostAsked = 4096;  // hits of one query, whatever was left out

}  // namespace

absl::StatusOr<RootAnswer> AnswerRoot(const AskLeaves& ask, const VisualQuery& query, const RootOptions& options) {
  VisualQuery asked = query;
  if (options.collapse) {
    asked.traits.hash = options.collapse->hash;
    asked.traits.code = options.collapse->code;
    asked.k = std::max(query.k, std::min(kMostAsked, 2 * query.k + 16));
  }
  for (;;) {
    LIKENESS_ASSIGN_OR_RETURN(LeafAnswer leaves, ask(asked));
    RootAnswer answer;
    answer.coverage = {leaves.stats.scanned, leaves.stats.documents};
    const bool more = leaves.hits.size() >= asked.k && asked.k < kMostAsked;
    answer.hits = std::move(leaves.hits);
    if (options.collapse) answer.left_out.collapsed = CollapseHits(answer.hits);
    const bool enough = answer.hits.size() >= query.k;
    if (!enough && more && !asked.deadline.Passed()) {
      asked.k = std::min(kMostAsked, 4 * asked.k);
      continue;
    }
    if (answer.hits.size() > query.k) answer.hits.resize(query.k);
    return answer;
  }
}

absl::StatusOr<RootAnswer> SearchRoot(const Snapshot& snapshot, const VisualQuery& query, const AllowedDocs& allowed,
                                      size_t threads, const RootOptions& options) {
  return AnswerRoot([&](const VisualQuery& asked) { return AnswerLeaf(snapshot, asked, allowed, threads); }, query,
                    options);
}

}  // namespace likeness
