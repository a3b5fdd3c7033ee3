#include "index/nearest.h"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <string>

#include "index/graph.h"
#include "kernel/hamming_gather.h"

namespace likeness {
namespace {

// What a scan reads between two looks at the clock: about a millisecond at 10 GB/s.
constexpr size_t kBytesOfStep = size_t{8} << 20;
constexpr size_t kRowsOfStep = size_t{1} << 16;  // the same where rows are looked at one by one

// Nanoseconds that things take, roughly: enough to choose the quicker of two ways.
constexpr double kNsOfByteInOrder = 0.1;
constexpr double kNsOfRowHereAndThere = 6;
constexpr double kNsOfLineHereAndThere = 4;
constexpr double kNsOfRowInList = 10;  // beside those of its code

// What is looked at under a filter for each of the k nearest: a guess until the query is known.
constexpr double kRowsOfOne = 10;

// Under a filter the view along edges has so much of its size without one: lists do the rest.
constexpr double kPartAlongEdges = 0.5;

// Of the k nearest, the part that may be expected in lists that are not looked at, at an effort of 1, and at any.
constexpr double kMissed = 0.04, kMostMissed = 0.1;

struct Ways {
  double scan = 0;    // of every row, in order
  double gather = 0;  // of the allowed rows, one by one
  double graph = 0;
  GraphSearch search;
};

// `rows` have a code and may be found. The choice does not depend on what is kept with a set, so that the answer is the
// same whether a filter is asked for the first time or again.
Ways WaysOf(const DeepColumn& column, const NearestOptions& options, size_t rows, const AllowedNodes* nodes) {
  const size_t words = column.shape.words();
  const auto documents = static_cast<double>(column.doc_count), count = static_cast<double>(rows);
  const double row = kNsOfRowHereAndThere + kNsOfLineHereAndThere * static_cast<double>((words + 7) / 8);
  Ways ways;
  ways.scan = documents * (1 + kNsOfByteInOrder * 8 * static_cast<double>(words));
  ways.gather = documents / 64 + count * row;
  const bool filtered = options.allowed != nullptr && rows < column.doc_count;
  if (options.exact || column.graph.empty() || (filtered && rows <= column.doc_count / kPartIsFew)) {
    ways.graph = std::numeric_limits<double>::infinity();
    return ways;
  }
  const double effort = options.effort > 0 ? std::clamp(options.effort, 0.1f, 100.0f) : 1.0f;
  const auto k = static_cast<double>(options.k);
  const auto pivots = static_cast<double>(column.graph.ends.size());
  const double scan_pivots = pivots * (0.5 + kNsOfByteInOrder * 4 * static_cast<double>(words));
  ways.search.deadline = options.deadline;
  if (!filtered) {
    const double ef = effort * (1.25 * k + 16);
    ways.search.ef = static_cast<size_t>(std::min(ef, documents));
    ways.search.lists = static_cast<size_t>(std::clamp(4 * effort, 1.0, pivots));
    ways.graph = scan_pivots + ef * 12 * row;
    return ways;
  }
  const double exact = std::min(ways.scan, ways.gather), in_list = row + kNsOfRowInList;
  ways.search.allowed = options.allowed->words();
  ways.search.ef = static_cast<size_t>(kPartAlongEdges * effort * (1.25 * k + 16));
  ways.search.lists = static_cast<size_t>(std::clamp(8 * effort, 1.0, pivots));
  ways.search.sparse = GraphSearch::Sparse{
      .missed = std::min(kMissed / effort, kMostMissed) * k, .allowed = count, .nodes = nodes, .most = exact / in_list};
  ways.graph = scan_pivots + 2 * pivots + kRowsOfOne * k * in_list;
  return ways;
}

void OfferNear(std::span<const uint16_t> distances, std::span<const uint32_t> rows, std::span<uint32_t> hits,
               TopK& best) {
  const auto limit = static_cast<uint16_t>(std::min<uint32_t>(RankOf(best.bound()), 0xFFFF));
  for (const uint32_t at : hits.first(IndicesAtMost(distances, limit, hits))) {
    best.Offer(RankedKey(distances[at], rows[at]));
  }
}

// The allowed rows one by one, as many at once as memory answers.
void GatherNearest(CodeRows codes, std::span<const uint64_t> query, std::span<const uint64_t> allowed, size_t begin,
                   size_t end, SearchStats& stats, TopK& best) {
  constexpr size_t kAtOnce = 1024, kWords = 64;
  std::array<uint32_t, kAtOnce + 64 * kWords> rows;
  std::array<uint16_t, kAtOnce + 64 * kWords> distances;
  std::array<uint32_t, kAtOnce + 64 * kWords> hits;
  size_t count = 0;
  const auto compare = [&] {
    HammingGather(codes, query, std::span(rows).first(count), distances);
    OfferNear(std::span(distances).first(count), std::span(rows).first(count), hits, best);
    stats.compared += count;
    count = 0;
  };
  const size_t last = (end + 63) / 64;
  for (size_t word = begin / 64; word < last; word += kWords) {
    const std::span<const uint64_t> words = allowed.subspan(word, std::min(kWords, last - word));
    count += RowsOfBitmap(words, static_cast<uint32_t>(64 * word), std::span(rows).subspan(count));
    if (count >= kAtOnce) compare();
  }
  compare();
}

// The codes that are kept with the set of allowed documents: some MiB at most, no work for a clock.
void ScanKept(const AllowedNodes& nodes, size_t words, std::span<const uint64_t> query, TopK& best) {
  constexpr size_t kAtOnce = 1024;
  std::array<uint16_t, kAtOnce> distances;
  std::array<uint32_t, kAtOnce> hits;
  for (size_t begin = 0; begin < nodes.rows.size(); begin += kAtOnce) {
    const size_t count = std::min(kAtOnce, nodes.rows.size() - begin);
    HammingDistances({std::span(nodes.codes).subspan(begin * words, count * words), words}, query,
                     std::span(distances).first(count));
    OfferNear(std::span(distances).first(count), std::span(nodes.rows).subspan(begin, count), hits, best);
  }
}

std::vector<Neighbor> Sorted(TopK& best) {
  std::vector<Neighbor> neighbors;
  neighbors.reserve(best.size());
  for (const uint64_t key : best.TakeSorted()) neighbors.push_back({Distance{RankOf(key)}, DocId(RowOf(key))});
  return neighbors;
}

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
  const CodeRows codes{column.codes, words};
  std::shared_ptr<const AllowedNodes> nodes;
  if (options.allowed != nullptr && !options.exact && !column.graph.empty()) {
    nodes = options.allowed->NodesOf(column.graph, codes);
  }
  // Those that have a code and may be found.
  std::span<const uint64_t> allowed = column.present;
  std::vector<uint64_t> both;
  const auto see_allowed = [&] {
    if (options.allowed == nullptr) return;
    allowed = options.allowed->words();
    if (column.present.empty()) return;
    both.assign(allowed.begin(), allowed.end());
    for (size_t i = 0; i < both.size(); ++i) both[i] &= column.present[i];
    allowed = both;
  };
  size_t rows = column.doc_count;
  if (nodes != nullptr) {
    rows = nodes->documents;
  } else {
    see_allowed();
    if (!allowed.empty()) rows = CountBits(allowed);
  }

  TopK best = options.within && options.within->bits < UINT32_MAX
                  ? TopK(options.k, RankedKey(options.within->bits + 1, 0))
                  : TopK(options.k);
  stats.documents += column.doc_count;
  const Ways ways = WaysOf(column, options, rows, nodes.get());
  bool scan = options.k == 0 || ways.graph >= std::min(ways.scan, ways.gather);
  if (!scan) {
    const TopK none = best;
    const GraphEffort effort = SearchGraph(column.graph, codes, query, ways.search, best);
    stats.compared += effort.compared;
    scan = effort.gave_up;
    if (scan) best = none;
    if (!scan) stats.scanned += effort.ended ? column.doc_count : std::min<uint64_t>(effort.rows, column.doc_count);
  }
  if (scan && nodes != nullptr && !nodes->codes.empty()) {
    ScanKept(*nodes, words, query, best);
    stats.compared += nodes->documents;
    stats.scanned += column.doc_count;
  } else if (scan) {
    if (nodes != nullptr) see_allowed();
    const bool gather = !allowed.empty() && ways.gather < ways.scan;
    const size_t of_step = gather ? kRowsOfStep : kBytesOfStep / (words * sizeof(uint64_t));
    const size_t step = std::max<size_t>(of_step / 64, 1) * 64;
    for (size_t begin = 0; begin < column.doc_count; begin += step) {
      if (begin > 0 && options.deadline.Passed()) break;
      const size_t end = std::min(column.doc_count, begin + step);
      if (gather) {
        GatherNearest(codes, query, allowed, begin, end, stats, best);
      } else {
        HammingNearest(codes, query, {.begin = begin, .end = end, .allowed = allowed}, best);
        stats.compared += end - begin;
      }
      stats.scanned += end - begin;
    }
  }

  return Sorted(best);
}

}  // namespace likeness
