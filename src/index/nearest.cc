#include "index/nearest.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
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

// A smaller share of allowed documents than this is looked for list by list, not along edges.
constexpr double kShareForEdges = 0.15;

struct Ways {
  double scan = 0;    // of every row, in order
  double gather = 0;  // of the allowed rows, one by one
  double graph = 0;
  GraphSearch search;
};

Ways WaysOf(const DeepColumn& column, const NearestOptions& options, std::span<const uint64_t> allowed) {
  const size_t words = column.shape.words();
  const auto documents = static_cast<double>(column.doc_count);
  const bool complete = column.present.empty();
  const auto nodes = complete ? documents : std::max(1.0, static_cast<double>(CountBits(column.present)));
  const auto count = allowed.empty() ? documents : static_cast<double>(CountBits(allowed));
  const double row = kNsOfRowHereAndThere + kNsOfLineHereAndThere * static_cast<double>((words + 7) / 8);
  Ways ways;
  ways.scan = documents * (1 + kNsOfByteInOrder * 8 * static_cast<double>(words));
  ways.gather = documents / 64 + count * row;
  if (options.exact || column.graph.empty()) {
    ways.graph = std::numeric_limits<double>::infinity();
    return ways;
  }
  const double effort = options.effort > 0 ? std::clamp(options.effort, 0.1f, 100.0f) : 1.0f;
  const double share = std::max(count, 1.0) / nodes;
  const auto pivots = static_cast<double>(column.graph.ends.size());
  const double scan_pivots = pivots * (0.5 + kNsOfByteInOrder * 4 * static_cast<double>(words));
  const double ef = effort * (1.25 * static_cast<double>(options.k) + 16) / share;
  ways.search.ef = static_cast<size_t>(std::min(ef, documents));
  ways.search.allowed = allowed;
  ways.search.deadline = options.deadline;
  if (share < kShareForEdges) {
    ways.search.sparse = GraphSearch::Sparse{.missed = 0.02 * static_cast<double>(options.k) / effort,
                                             .allowed_in_list = count / pivots};
    ways.search.lists = static_cast<size_t>(std::clamp(8 * effort, 1.0, pivots));
    // About a tenth of the lists is looked at.
    ways.graph = scan_pivots + 3 * pivots + 0.1 * (1.5 * nodes + count * row);
  } else {
    ways.search.lists = static_cast<size_t>(std::clamp(4 * effort, 1.0, pivots));
    ways.graph = scan_pivots + ef * 12 * row;
  }
  return ways;
}

// The allowed rows one by one, as many at once as memory answers.
void GatherNearest(CodeRows codes, std::span<const uint64_t> query, std::span<const uint64_t> allowed, size_t begin,
                   size_t end, SearchStats& stats, TopK& best) {
  std::array<uint32_t, 512> rows;
  std::array<uint16_t, 512> distances;
  size_t count = 0;
  const auto compare = [&] {
    HammingGather(codes, query, std::span(rows).first(count), distances);
    for (size_t i = 0; i < count; ++i) best.Offer(RankedKey(distances[i], rows[i]));
    stats.compared += count;
    count = 0;
  };
  for (size_t word = begin / 64; word < (end + 63) / 64; ++word) {
    if (count + 64 > rows.size()) compare();
    for (uint64_t rest = allowed[word]; rest != 0; rest &= rest - 1) {
      rows[count++] = static_cast<uint32_t>(64 * word + static_cast<size_t>(std::countr_zero(rest)));
    }
  }
  compare();
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
  const CodeRows codes{column.codes, words};
  stats.documents += column.doc_count;
  const Ways ways = WaysOf(column, options, allowed);
  if (options.k > 0 && ways.graph < std::min(ways.scan, ways.gather)) {
    const GraphEffort effort = SearchGraph(column.graph, codes, query, ways.search, best);
    stats.compared += effort.compared;
    stats.scanned += effort.ended ? column.doc_count : std::min<uint64_t>(effort.rows, column.doc_count);
  } else {
    const bool gather = !allowed.empty() && ways.gather < ways.scan;
    const size_t rows = gather ? kRowsOfStep : kBytesOfStep / (words * sizeof(uint64_t));
    const size_t step = std::max<size_t>(rows / 64, 1) * 64;
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

  std::vector<Neighbor> neighbors;
  neighbors.reserve(best.size());
  for (const uint64_t key : best.TakeSorted()) neighbors.push_back({Distance{RankOf(key)}, DocId(RowOf(key))});
  return neighbors;
}

}  // namespace likeness
