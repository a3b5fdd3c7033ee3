#include "index/nearest.h"

#include <algorithm>
#include <string>

#include "kernel/hamming.h"

namespace likeness {
namespace {

// What a scan reads between two looks at the clock: about a millisecond at 10 GB/s.
constexpr size_t kBytesOfStep = size_t{8} << 20;

}  // namespace

absl::StatusOr<std::vector<Neighbor>> NearestCodes(const DeepColumn& column, std::span<const uint64_t> query,
                                                   const NearestOptions& options, SearchStats& stats) {
  const size_t words = column.shape.words();
  if (query.size() != words) {
    return absl::InvalidArgumentError("the query has a code of " + std::to_string(64 * query.size()) +
                                      " bits, the segment of " + std::to_string(64 * words));
  }
  if (options.allowed != nullptr && options.allowed->size() != column.doc_count) {
    return absl::InvalidArgumentError("the filter is for " + std::to_string(options.allowed->size()) +
                                      " documents, the segment has " + std::to_string(column.doc_count));
  }
  std::span<const uint64_t> allowed = column.present;
  std::vector<uint64_t> both;
  if (options.allowed != nullptr) {
    allowed = options.allowed->words();
    if (!column.present.empty()) {
      both.assign(allowed.begin(), allowed.end());
      for (size_t i = 0; i < both.size(); ++i) both[i] &= column.present[i];
      allowed = both;
    }
  }

  TopK best = options.within && options.within->bits < UINT32_MAX
                  ? TopK(options.k, RankedKey(options.within->bits + 1, 0))
                  : TopK(options.k);
  const size_t step = std::max<size_t>(kBytesOfStep / (words * sizeof(uint64_t)) / 64, 1) * 64;
  stats.documents += column.doc_count;
  for (size_t begin = 0; begin < column.doc_count; begin += step) {
    if (begin > 0 && options.deadline.Passed()) break;
    const size_t end = std::min(column.doc_count, begin + step);
    HammingNearest({column.codes, words}, query, {.begin = begin, .end = end, .allowed = allowed}, best);
    stats.scanned += end - begin;
    stats.compared += end - begin;
  }

  std::vector<Neighbor> neighbors;
  neighbors.reserve(best.size());
  for (const uint64_t key : best.TakeSorted()) neighbors.push_back({Distance{RankOf(key)}, DocId(RowOf(key))});
  return neighbors;
}

}  // namespace likeness
