#include "rank/root.h"

#include <algorithm>
#include <iterator>
#include <mutex>

#include "base/thread_pool.h"

namespace likeness {

absl::StatusOr<RootAnswer> SearchRoot(const Snapshot& snapshot, const VisualQuery& query, const AllowedDocs& allowed,
                                      size_t threads) {
  const auto segments = snapshot.segments();
  LIKENESS_CHECK(allowed.empty() || allowed.size() == segments.size());
  std::vector<std::vector<Hit>> lists(segments.size());
  std::vector<SearchStats> stats(segments.size());
  std::vector<absl::Status> failures(segments.size());
  ParallelFor(segments.size(), std::max<size_t>(threads, 1), [&](size_t i) {
    auto hits = SearchLeaf(*segments[i], query, allowed.empty() ? nullptr : allowed[i].get(), stats[i]);
    if (hits.ok()) {
      lists[i] = *std::move(hits);
    } else {
      failures[i] = hits.status();
    }
  });
  for (const absl::Status& failure : failures) LIKENESS_RETURN_IF_ERROR(failure);
  RootAnswer answer;
  answer.hits = MergeHits(lists, query.k);
  for (const SearchStats& one : stats) {
    answer.coverage.searched += one.scanned;
    answer.coverage.images += one.documents;
  }
  return answer;
}

std::vector<Hit> MergeHits(std::span<std::vector<Hit>> lists, size_t k) {
  std::vector<Hit> all;
  for (std::vector<Hit>& list : lists) {
    all.insert(all.end(), std::make_move_iterator(list.begin()), std::make_move_iterator(list.end()));
    list.clear();
  }
  const auto better = [](const Hit& a, const Hit& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.signature < b.signature;
  };
  std::ranges::sort(all, better);
  // An image lies in one segment only, except while a shard is built anew: its best hit stands.
  const auto same = [](const Hit& a, const Hit& b) { return a.signature == b.signature; };
  all.erase(std::unique(all.begin(), all.end(), same), all.end());
  if (all.size() > k) all.resize(k);
  return all;
}

}  // namespace likeness
