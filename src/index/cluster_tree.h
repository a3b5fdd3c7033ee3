// Hierarchical clustering trees over binary codes: M. Muja and D. Lowe, "Fast Matching of Binary Features", CRV 2012.
// The second kind of index beside the graph (index/graph.h), made in memory, for comparison (docs/indexes/nearest.md).
//
// Each tree parts the codes by the nearest of some that are chosen at random, and each part again, until parts are
// small. Several trees, whose choices differ, are searched at once: down to a leaf in each, then on from the branch
// that came nearest of all that were passed by, until enough codes were looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernel/hamming.h"

namespace likeness {

struct ClusterTreeOptions {
  size_t trees = 4;
  size_t branching = 32;  // parts of a node, at least 2
  size_t leaf = 100;      // codes of a leaf at most, but that equal codes are never parted
  uint64_t seed = 1;
  size_t threads = 1;
};

// Immutable once made; any number of threads may search. `codes` must outlive it.
class ClusterTrees {
 public:
  // The same for a seed whatever the number of threads. `present`: a bitmap of the rows to hold, or empty: all.
  ClusterTrees(CodeRows codes, std::span<const uint64_t> present, const ClusterTreeOptions& options);

  // Offers RankedKey(distance, row) of rows near `query` to `best`, and stops when `checks` were looked at; it always
  // looks at one leaf of each tree. `allowed`: a bitmap of the rows that may be found, or empty: all. Returns how many
  // distances were computed. REQUIRES: query.size() == codes.words
  uint64_t Search(std::span<const uint64_t> query, size_t checks, std::span<const uint64_t> allowed, TopK& best) const;

  // Memory beside the codes.
  size_t bytes() const;

 private:
  struct Node {
    uint32_t begin = 0, end = 0;  // a leaf: of rows; else: of nodes, whose centers are in the same order
    bool leaf = true;
  };
  struct Tree {
    std::vector<Node> nodes;        // the root first
    std::vector<uint32_t> rows;     // leaf after leaf
    std::vector<uint32_t> centers;  // of each node its row; unused for the root
  };

  Tree Grow(std::span<const uint32_t> rows, const ClusterTreeOptions& options, uint64_t seed) const;

  CodeRows codes_;
  std::vector<Tree> trees_;
};

}  // namespace likeness
