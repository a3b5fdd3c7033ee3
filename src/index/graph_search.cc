#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "index/graph.h"
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
  std::vector<uint32_t> rows, kept;
  std::vector<uint16_t> distances;
  std::vector<uint32_t> order;  // of the pivots, nearest first
  std::vector<uint16_t> distances_of_pivots;
};

class Search {
 public:
  Search(const GraphView& graph, CodeRows codes, std::span<const uint64_t> query, const GraphSearch& search,
         Scratch& scratch, TopK& best)
      : graph_(graph), codes_(codes), query_(query), search_(search), scratch_(scratch), best_(best) {}

  GraphEffort Run() {
    if (search_.sparse) {
      LookAtManyLists();
    } else {
      FollowEdges();
    }
    return effort_;
  }

 private:
  bool Allowed(uint32_t row) const {
    return search_.allowed.empty() || (search_.allowed[row / 64] >> (row % 64) & 1) != 0;
  }

  // Offers the row and those with an equal code.
  void Found(uint32_t distance, uint32_t row) {
    if (RankedKey(distance, row) >= best_.bound()) return;
    if (Allowed(row)) best_.Offer(RankedKey(distance, row));
    if (graph_.same.empty()) return;
    for (uint32_t next = graph_.same[row]; next > row && next < graph_.documents; next = graph_.same[row]) {
      row = next;
      ++effort_.rows;
      if (RankedKey(distance, row) >= best_.bound()) return;
      if (Allowed(row)) best_.Offer(RankedKey(distance, row));
    }
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
    TopK nearest(std::max<size_t>(search_.lists, 1));
    HammingNearest({graph_.pivots, graph_.words}, query_, {}, nearest);
    effort_.compared += graph_.ends.size();
    scratch_.met.Clear(16 * search_.ef);
    scratch_.view.Clear(std::max<size_t>(search_.ef, 1));
    for (const uint64_t key : nearest.TakeSorted()) {
      scratch_.rows.clear();
      for (const uint32_t row : List(RowOf(key))) {
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

  // Lists in the order of their pivots, until as many as wanted are found and few better ones can be expected.
  void LookAtManyLists() {
    const size_t pivots = graph_.ends.size();
    std::vector<uint16_t>& distances = scratch_.distances_of_pivots;
    distances.resize(pivots);
    HammingDistances({graph_.pivots, graph_.words}, query_, distances);
    effort_.compared += pivots;
    // Sorted by counting: nearest first, ties by number.
    std::vector<uint32_t> at(64 * graph_.words + 2, 0);
    for (size_t i = 0; i < pivots; ++i) ++at[distances[i] + 1u];
    for (size_t i = 1; i < at.size(); ++i) at[i] += at[i - 1];
    scratch_.order.resize(pivots);
    for (size_t i = 0; i < pivots; ++i) scratch_.order[at[distances[i]]++] = static_cast<uint32_t>(i);

    size_t next = search_.lists;  // before which list to think of stopping
    for (size_t i = 0; i < pivots; ++i) {
      if (i >= next && best_.bound() != ~uint64_t{0}) {
        if (ExpectedFrom(i) <= search_.sparse->missed) return;
        next = i + kLooksAtClock / 4;
      }
      if (effort_.rows > 2 * graph_.documents) return;  // damaged lists, which overlap
      if (i > 0 && i % kLooksAtClock == 0 && search_.deadline.Passed()) {
        effort_.ended = false;
        return;
      }
      LookAtAllowed(List(scratch_.order[i]));
    }
  }

  // How many rows better than the worst that is kept can be expected in the lists from the `first` of the order on. A
  // row is taken for its pivot with some of its bits, chosen by lot, turned: then its distance to the query is spread
  // like draws without putting back.
  double ExpectedFrom(size_t first) const {
    const auto bits = static_cast<double>(64 * graph_.words);
    const double radius = std::clamp(graph_.radius, 1.0, bits), bound = RankOf(best_.bound()) - 0.5;
    const size_t step = std::max<size_t>((scratch_.order.size() - first) / 64, 1);
    double sum = 0;
    for (size_t i = first; i < scratch_.order.size(); i += step) {
      const double distance = scratch_.distances_of_pivots[scratch_.order[i]];
      const double mean = distance + radius * (1 - 2 * distance / bits);
      const double spread =
          2 * std::sqrt(std::max(1.0, radius * (1 - radius / bits) * distance / bits * (1 - distance / bits)));
      const double share = 0.5 * std::erfc((mean - bound) / spread / std::numbers::sqrt2);
      sum += share * static_cast<double>(std::min(step, scratch_.order.size() - i));
      if (share < 1e-7) break;
    }
    return sum * search_.sparse->allowed_in_list;
  }

  void LookAtAllowed(std::span<const uint32_t> list) {
    if (graph_.same.empty() && !search_.allowed.empty()) {
      scratch_.kept.clear();
      for (const uint32_t row : list) {
        if (row < graph_.documents) scratch_.kept.push_back(row);
      }
      scratch_.rows.resize(scratch_.kept.size());
      scratch_.rows.resize(RowsInBitmap(scratch_.kept, search_.allowed, scratch_.rows));
    } else {
      scratch_.rows.clear();
      for (const uint32_t row : list) {
        if (row >= graph_.documents) continue;
        if (Allowed(row) || (!graph_.same.empty() && graph_.same[row] != kNoRow)) scratch_.rows.push_back(row);
      }
    }
    effort_.rows += list.size() - scratch_.rows.size();
    Compare(scratch_.rows);
    for (size_t i = 0; i < scratch_.rows.size(); ++i) Found(scratch_.distances[i], scratch_.rows[i]);
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
  return Search(graph, codes, query, search, scratch, best).Run();
}

}  // namespace likeness
