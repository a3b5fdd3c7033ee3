// A graph over the binary codes of one segment that leads a search to the nearest ones (docs/indexes/nearest.md).
//
// One flat layer. Pivots, a few thousand codes spread over all, are scanned at the start of a search; every code is in
// the list of its nearest pivot, and has edges to codes near it. A search scans the pivots, looks at the lists of the
// nearest ones, and goes on from there along the edges, always from the nearest code that it has not left yet. Because
// the list of the nearest pivot is always looked at, a stored code that is asked for is always found. Codes that are
// equal are one node of the graph: the first of them stands for all and is chained to the others.
//
// Everything is decided by distances and by the order of rows alone, never by the bits of a code: the same mask over
// all codes and the query, or the same permutation of their bits, changes no answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "kernel/hamming.h"

namespace likeness {

struct AllowedNodes;

// No row: fills the edges of a row that has fewer, ends a chain of equal codes.
inline constexpr uint32_t kNoRow = std::numeric_limits<uint32_t>::max();

// Views into the bytes of a graph, which must outlive it. What they say is not to be trusted before Check: a search
// minds every number, so that of damaged bytes it makes wrong answers, but no harm. Any thread.
struct GraphView {
  size_t documents = 0;
  size_t words = 0;                   // of a code
  size_t degree = 0;                  // edges of a row at most
  std::span<const uint32_t> edges;    // [documents, degree]
  std::span<const uint64_t> pivots;   // [pivots, words]: their codes
  std::span<const uint32_t> ends;     // [pivots]: where the list of each ends in `members`
  std::span<const uint32_t> members;  // rows: each that stands in the graph once, list after list
  double radius = 0;                  // mean distance of a code to its pivot, bits
  std::span<const uint32_t> same;     // [documents]: the next row with an equal code; empty where all codes differ
  uint64_t number = 0;                // of what Read gave, another each time; copies have the same

  bool empty() const { return ends.empty(); }

  // `bytes` as MakeGraph gave them, at an address that is a multiple of 8. Looks at the header alone.
  // Errors: DataLoss (no graph, or not one of so many codes of that length), Unimplemented (a later format).
  static absl::StatusOr<GraphView> Read(std::span<const std::byte> bytes, size_t documents, size_t words);

  // Reads everything. Errors: DataLoss, naming what makes no sense.
  absl::Status Check() const;
};

// Calls body(row) of a node and of those with an equal code, ascending. Of a damaged graph it ends too.
template <typename Body>
void ForEachEqual(const GraphView& graph, uint32_t row, const Body& body) {
  if (row >= graph.documents) return;
  body(row);
  if (graph.same.empty()) return;
  for (uint32_t next = graph.same[row]; next > row && next < graph.documents; next = graph.same[row]) body(row = next);
}

struct GraphOptions {
  size_t degree = 32;
  size_t pivots = 0;  // 0: as many as suit the number and length of the codes
  uint64_t seed = 1;  // of the sample that pivots are taken from
  size_t threads = 1;
};

// The bytes of a graph over `codes`, the same for a seed whatever the number of threads. `present` (a bitmap, or empty:
// all) are the rows that have a code; the others are not in the graph. Takes memory of about 600 bytes a row meanwhile.
std::vector<std::byte> MakeGraph(CodeRows codes, std::span<const uint64_t> present, const GraphOptions& options);

struct GraphSearch {
  size_t ef = 32;                          // nodes that are kept in view: more find more
  size_t lists = 4;                        // of the nearest pivots, looked at before edges are followed, at least 1
  std::span<const uint64_t> allowed = {};  // bitmap of the rows that may be found; empty: all
  // Under a filter, lists are looked at after the edges, nearest pivots first, until no more than `missed` of the
  // nearest can be expected in the others.
  struct Sparse {
    double missed = 0.1;
    double allowed = 1;                   // rows, in all lists
    const AllowedNodes* nodes = nullptr;  // of the set `allowed` and this graph, or null
    double most = 1e18;                   // rows to compare for this: give up where more are to be expected
  };
  std::optional<Sparse> sparse = std::nullopt;
  Deadline deadline = Deadline::Never();
};

struct GraphEffort {
  uint64_t compared = 0;  // distances computed, pivots included
  uint64_t rows = 0;      // documents looked at
  bool ended = true;      // false: the deadline came first
  bool gave_up = false;   // more than GraphSearch::Sparse::most: a scan is quicker. What was found is not all
};

// Offers RankedKey(distance, row) of rows near `query` to `best`. Any thread; keeps memory for the calling thread.
// REQUIRES: codes has graph.documents rows of graph.words words, query.size() == graph.words, not graph.empty()
GraphEffort SearchGraph(const GraphView& graph, CodeRows codes, std::span<const uint64_t> query,
                        const GraphSearch& search, TopK& best);

}  // namespace likeness
