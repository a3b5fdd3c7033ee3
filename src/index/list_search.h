// The lists of a graph's pivots, nearest pivots first, for as long as that pays: the way to answer under a filter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/graph.h"
#include "index/met_rows.h"

namespace likeness {

// The pivots of a graph in the order of their distance to a query, ties by number. They are put in order as far as
// they are asked for. One thread; kept between queries.
class PivotOrder {
 public:
  void Start(const GraphView& graph, std::span<const uint64_t> query);

  size_t size() const { return distances_.size(); }
  // The pivot at place i. REQUIRES: i < size()
  uint32_t At(size_t i) {
    if (i >= order_.size()) Extend(i);
    return order_[i];
  }
  // The distance of the pivot at place i.
  uint32_t DistanceAt(size_t i) { return distances_[At(i)]; }
  // How many pivots there are at each distance.
  std::span<const uint32_t> counts() const { return counts_; }

 private:
  void Extend(size_t i);

  std::vector<uint16_t> distances_;
  std::vector<uint32_t> counts_, at_;
  std::vector<uint32_t> near_, order_;
};

// How far from a query the rows of a list lie, by the distance of its pivot: a row is taken for its pivot with some of
// its bits, chosen by lot, turned. What the rows that a search looks at show of how good that is corrects it.
class ListModel {
 public:
  // `radius`: mean distance of a row to its pivot, of `bits`.
  void Start(double radius, size_t bits);
  // A row of a list whose pivot is at `of_pivot` was found at `distance`.
  void Learn(uint32_t of_pivot, uint32_t distance) {
    const double z = (distance - means_[of_pivot]) * weights_[of_pivot];
    seen_ += 1;
    sum_ += z;
    squares_ += z * z;
  }
  // Forgets half of what is long ago, and draws the conclusions.
  void Conclude();
  // The share of the rows of a list that are expected nearer than `bound`.
  double ShareNearer(size_t of_pivot, double bound) const;

 private:
  double radius_ = -1;
  std::vector<double> means_, weights_;  // by distance of the pivot: mean, and 1 / standard deviation
  double seen_ = 0, sum_ = 0, squares_ = 0;
  double shift_ = 0, stretch_ = 1;
};

// The documents of some lists that may be found.
struct ListBlock {
  struct List {
    size_t end = 0;  // of its documents
    uint32_t of_pivot = 0;
  };
  size_t begin = 0, end = 0;     // places in the order of the pivots
  std::vector<uint32_t> places;  // in AllowedNodes::rows; or in GraphView::members, which then give the rows
  std::vector<uint32_t> rows;
  std::vector<uint16_t> distances;  // once they are compared
  std::vector<List> lists;

  size_t documents() const { return distances.size(); }
};

// What a thread keeps between searches.
struct ListScratch {
  PivotOrder order;
  MetRows offered;  // rows that the keeper was offered before
  ListModel model;
  ListBlock blocks[2];
  std::vector<uint32_t> hits;
  std::vector<double> shares;
};

// Offers RankedKeys of the documents of lists, as search.sparse says, in the order of scratch.order, which was started.
// The answer is the same with and without search.sparse->nodes. REQUIRES: search.sparse, not graph.empty()
GraphEffort SearchLists(const GraphView& graph, CodeRows codes, std::span<const uint64_t> query,
                        const GraphSearch& search, ListScratch& scratch, TopK& best);

}  // namespace likeness
