#include <algorithm>
#include <vector>

#include "index/graph.h"
#include "index/list_search.h"
#include "index/met_rows.h"
#include "kernel/hamming_gather.h"

namespace likeness {
namespace {

constexpr size_t kLooksAtClock = 64;  // nodes left between two looks at the clock

// The nearest nodes met, sorted, each left or not. The lowest bit of an entry says that it was left; what is above it
// is the key, so that entries order as keys do.
class View {
 public:
  void Clear(size_t ef) {
    ef_ = ef;
    entries_.clear();
    next_ = 0;
  }

  uint64_t bound() const { return entries_.size() < ef_ ? ~uint64_t{0} : entries_.back(); }

  void Offer(uint32_t distance, uint32_t row) {
    const uint64_t entry = (uint64_t{distance} << 32 | row) << 1;
    if (entry >= bound()) return;
    const auto at = std::ranges::lower_bound(entries_, entry);
    next_ = std::min(next_, static_cast<size_t>(at - entries_.begin()));
    if (entries_.size() == ef_) {
      std::move_backward(at, entries_.end() - 1, entries_.end());
      *at = entry;
    } else {
      entries_.insert(at, entry);
    }
  }

  // The nearest that was not left yet, marked as left; kNoRow when there is none.
  uint32_t Leave() {
    while (next_ < entries_.size() && (entries_[next_] & 1) != 0) ++next_;
    if (next_ == entries_.size()) return kNoRow;
    entries_[next_] |= 1;
    return static_cast<uint32_t>(entries_[next_] >> 1);
  }

  // The one that Leave would name, or kNoRow.
  uint32_t Next() const {
    size_t at = next_;
    while (at < entries_.size() && (entries_[at] & 1) != 0) ++at;
    return at == entries_.size() ? kNoRow : static_cast<uint32_t>(entries_[at] >> 1);
  }

 private:
  size_t ef_ = 1;
  std::vector<uint64_t> entries_;
  size_t next_ = 0;  // all before it were left
};

// What a thread keeps between searches.
struct Scratch {
  MetRows met;
  View view;
  std::vector<uint32_t> rows;
  std::vector<uint16_t> distances;
  std::vector<uint32_t> pivots;
  ListScratch lists;
};

// Along edges, from the lists of scratch.pivots.
class Search {
 public:
  Search(const GraphView& graph, CodeRows codes, std::span<const uint64_t> query, const GraphSearch& search,
         Scratch& scratch, TopK& best)
      : graph_(graph), codes_(codes), query_(query), search_(search), scratch_(scratch), best_(best) {}

  GraphEffort Run() {
    FollowEdges();
    return effort_;
  }

 private:
  // Offers the row and those with an equal code.
  void Found(uint32_t distance, uint32_t node) {
    if (RankedKey(distance, node) >= best_.bound()) return;
    ForEachEqual(graph_, node, [&](uint32_t row) {
      effort_.rows += row != node ? 1 : 0;
      const bool allowed = search_.allowed.empty() || (search_.allowed[row / 64] >> (row % 64) & 1) != 0;
      if (!allowed || RankedKey(distance, row) >= best_.bound()) return;
      best_.Offer(RankedKey(distance, row));
      if (search_.sparse) scratch_.lists.offered.Add(row);
    });
  }

  std::span<const uint32_t> List(size_t pivot) const {
    const size_t begin = pivot == 0 ? 0 : graph_.ends[pivot - 1];
    const size_t end = std::min<size_t>(graph_.ends[pivot], graph_.members.size());
    return begin < end ? graph_.members.subspan(begin, end - begin) : std::span<const uint32_t>();
  }

  // The distances of scratch_.rows into scratch_.distances.
  void Compare(std::span<const uint32_t> rows) {
    if (scratch_.distances.size() < rows.size()) scratch_.distances.resize(rows.size());
    HammingGather(codes_, query_, rows, scratch_.distances);
    effort_.compared += rows.size();
    effort_.rows += rows.size();
  }

  void FollowEdges() {
    scratch_.met.Clear(16 * search_.ef);
    scratch_.view.Clear(std::max<size_t>(search_.ef, 1));
    for (const uint32_t pivot : scratch_.pivots) {
      scratch_.rows.clear();
      for (const uint32_t row : List(pivot)) {
        if (row < graph_.documents && scratch_.met.Add(row)) scratch_.rows.push_back(row);
      }
      LookAtRows();
    }
    size_t left = 0;
    for (uint32_t node = scratch_.view.Leave(); node != kNoRow; node = scratch_.view.Leave()) {
      if (++left % kLooksAtClock == 0 && search_.deadline.Passed()) {
        effort_.ended = false;
        return;
      }
      scratch_.rows.clear();
      for (const uint32_t row : graph_.edges.subspan(size_t{node} * graph_.degree, graph_.degree)) {
        if (row < graph_.documents && scratch_.met.Add(row)) scratch_.rows.push_back(row);
      }
      if (const uint32_t next = scratch_.view.Next(); next != kNoRow) {
        const uint32_t* const edges = graph_.edges.data() + size_t{next} * graph_.degree;
        for (size_t i = 0; i < graph_.degree; i += 16) __builtin_prefetch(edges + i, 0, 3);
      }
      LookAtRows();
    }
  }

  void LookAtRows() {
    Compare(scratch_.rows);
    for (size_t i = 0; i < scratch_.rows.size(); ++i) {
      const uint32_t distance = scratch_.distances[i], row = scratch_.rows[i];
      scratch_.view.Offer(distance, row);
      Found(distance, row);
    }
  }

  const GraphView& graph_;
  CodeRows codes_;
  std::span<const uint64_t> query_;
  const GraphSearch& search_;
  Scratch& scratch_;
  TopK& best_;
  GraphEffort effort_;
};

}  // namespace

GraphEffort SearchGraph(const GraphView& graph, CodeRows codes, std::span<const uint64_t> query,
                        const GraphSearch& search, TopK& best) {
  thread_local Scratch scratch;
  const size_t lists = std::clamp<size_t>(search.lists, 1, graph.ends.size());
  scratch.pivots.clear();
  GraphEffort effort;
  if (!search.sparse) {
    TopK nearest(lists);
    HammingNearest({graph.pivots, graph.words}, query, {}, nearest);
    for (const uint64_t key : nearest.TakeSorted()) scratch.pivots.push_back(RowOf(key));
    effort = Search(graph, codes, query, search, scratch, best).Run();
  } else {
    // Edges find a group that lies scattered over lists; lists find what edges do not lead to where much is hidden.
    PivotOrder& order = scratch.lists.order;
    order.Start(graph, query);
    for (size_t i = 0; i < lists; ++i) scratch.pivots.push_back(order.At(i));
    scratch.lists.offered.Clear(0);
    effort = Search(graph, codes, query, search, scratch, best).Run();
    if (effort.ended) {
      const GraphEffort more = SearchLists(graph, codes, query, search, scratch.lists, best);
      effort.compared += more.compared;
      effort.rows += more.rows;
      effort.ended = more.ended;
      effort.gave_up = more.gave_up;
    }
  }
  effort.compared += graph.ends.size();
  return effort;
}

}  // namespace likeness
