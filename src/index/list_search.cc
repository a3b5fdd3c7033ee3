#include "index/list_search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "index/allowed_nodes.h"
#include "kernel/hamming_gather.h"

namespace likeness {
namespace {

constexpr size_t kListsOfBlock = 16;   // between two thoughts of stopping
constexpr size_t kListsAhead = 8;      // asked for before they are needed
constexpr size_t kPrefetched = 256;    // rows of a list that are
constexpr size_t kBlocksOfClock = 4;   // between two looks at the clock
constexpr size_t kOrderedAtFirst = 8;  // one of so many pivots
constexpr size_t kRowsToLearn = 100;   // of which the model hears before it is asked
constexpr double kPriorRows = 16;      // that it is believed for
constexpr double kRowsRemembered = 2048;
constexpr double kNewer = 0.2;         // how much a block counts beside those before it
constexpr double kTiring = 1000;       // after so many lists, or twice as many rows, twice as much may be missed,
constexpr double kMostTired = 2.5;     // but not more
constexpr double kNothing = 1e-7;      // a share that no list is worth
constexpr double kPartBeforeScan = 4;  // of what a scan takes, before it is thought of

// The share of a normal distribution below z.
double NormalBelow(double z) {
  constexpr double kEdge = 8;
  constexpr size_t kSteps = 1024;
  static const std::array<float, kSteps + 1> kTable = [] {
    std::array<float, kSteps + 1> table;
    for (size_t i = 0; i <= kSteps; ++i) {
      const double at = (2.0 * static_cast<double>(i) / kSteps - 1) * kEdge;
      table[i] = static_cast<float>(0.5 * std::erfc(-at / std::numbers::sqrt2));
    }
    return table;
  }();
  return kTable[static_cast<size_t>((std::clamp(z, -kEdge, kEdge) / kEdge + 1) * 0.5 * kSteps + 0.5)];
}

class Lists {
 public:
  Lists(const GraphView& graph, CodeRows codes, std::span<const uint64_t> query, const GraphSearch& search,
        ListScratch& scratch, TopK& best)
      : graph_(graph), codes_(codes), query_(query), search_(search), scratch_(scratch), best_(best) {
    const AllowedNodes* const nodes = search.sparse->nodes;
    if (nodes == nullptr) return;
    if (nodes->ends.size() == graph.ends.size()) kept_ = nodes;
    if (64 * nodes->in_lists.size() >= graph.members.size()) in_lists_ = nodes->in_lists;
  }

  // Some lists at a time. Where the set is known in the order of the lists, but not with its codes, the next ones are
  // looked up before these are compared, so that what they need is on its way from memory meanwhile.
  GraphEffort Run() {
    PivotOrder& order = scratch_.order;
    scratch_.model.Start(graph_.radius, 64 * graph_.words);
    ListBlock* now = &scratch_.blocks[0];
    ListBlock* next = &scratch_.blocks[1];
    const bool ahead = kept_ == nullptr && !in_lists_.empty();
    size_t seen = 0;  // allowed documents
    Take(0, std::max<size_t>(search_.lists, 1), *now);
    for (size_t block = 1; now->begin < order.size(); ++block) {
      if (ahead) Take(now->end, kListsOfBlock, *next);
      Compare(*now);
      seen += now->documents();
      if (now->end == order.size()) break;
      if (effort_.rows > 2 * graph_.documents) break;  // damaged lists, which overlap
      if (best_.bound() != ~uint64_t{0} && seen >= kRowsToLearn && MayStop(*now, seen)) break;
      if (block % kBlocksOfClock == 0 && search_.deadline.Passed()) {
        effort_.ended = false;
        break;
      }
      if (!ahead) Take(now->end, kListsOfBlock, *next);
      std::swap(now, next);
    }
    return effort_;
  }

 private:
  size_t Begin(size_t pivot) const { return pivot == 0 ? 0 : graph_.ends[pivot - 1]; }
  size_t End(size_t pivot) const { return std::min<size_t>(graph_.ends[pivot], graph_.members.size()); }

  bool Allowed(uint32_t row) const {
    return search_.allowed.empty() || (search_.allowed[row / 64] >> (row % 64) & 1) != 0;
  }

  // The documents of up to `lists` lists from place `begin` of the order on that may be found.
  void Take(size_t begin, size_t lists, ListBlock& block) {
    PivotOrder& order = scratch_.order;
    block.begin = begin;
    block.end = std::min(order.size(), begin + lists);
    block.places.clear();
    block.rows.clear();
    block.lists.clear();
    for (size_t i = begin; i < block.end; ++i) {
      if (i + 2 * kListsAhead < order.size()) PrefetchEnds(order.At(i + 2 * kListsAhead));
      if (i + kListsAhead < order.size()) PrefetchList(order.At(i + kListsAhead));
      const uint32_t pivot = order.At(i);
      const size_t first = Begin(pivot), end = End(pivot);
      if (first >= end) continue;
      effort_.rows += end - first;
      if (kept_ != nullptr) {
        TakeKept(pivot, block.places);
      } else if (!in_lists_.empty()) {
        TakeBits(first, end, block.places);
      } else {
        TakeAllowed(graph_.members.subspan(first, end - first), block.rows);
      }
      block.lists.push_back({block.places.empty() ? block.rows.size() : block.places.size(), order.DistanceAt(i)});
    }
  }

  void PrefetchEnds(uint32_t pivot) const {
    __builtin_prefetch(&graph_.ends[pivot]);
    if (kept_ != nullptr) __builtin_prefetch(&kept_->ends[pivot]);
  }

  void PrefetchList(uint32_t pivot) const {
    if (kept_ != nullptr) {
      const size_t begin = pivot == 0 ? 0 : kept_->ends[pivot - 1], words = graph_.words;
      const size_t end = std::min<size_t>(kept_->ends[pivot] * words, begin * words + kPrefetched);
      for (size_t i = begin * words; i < end; i += 8) __builtin_prefetch(&kept_->codes[i]);
      return;
    }
    const size_t first = Begin(pivot), end = End(pivot);
    if (!in_lists_.empty()) {
      if (first < end) __builtin_prefetch(&in_lists_[first / 64]);
      return;
    }
    for (size_t i = first; i < std::min(end, first + kPrefetched); i += 16)
      __builtin_prefetch(&graph_.members[i], 0, 2);
  }

  // Places in what is kept.
  void TakeKept(uint32_t pivot, std::vector<uint32_t>& places) const {
    const size_t begin = pivot == 0 ? 0 : kept_->ends[pivot - 1], count = kept_->ends[pivot] - begin;
    places.resize(places.size() + count);
    std::iota(places.end() - static_cast<std::ptrdiff_t>(count), places.end(), static_cast<uint32_t>(begin));
  }

  // Places in `members`.
  void TakeBits(size_t first, size_t end, std::vector<uint32_t>& places) const {
    for (size_t word = first / 64; word <= (end - 1) / 64; ++word) {
      uint64_t rest = in_lists_[word];
      if (word == first / 64) rest &= ~uint64_t{0} << (first % 64);
      if (word == (end - 1) / 64) rest &= ~uint64_t{0} >> (63 - (end - 1) % 64);
      for (; rest != 0; rest &= rest - 1) {
        const size_t place = 64 * word + static_cast<size_t>(std::countr_zero(rest));
        __builtin_prefetch(&graph_.members[place]);
        places.push_back(static_cast<uint32_t>(place));
      }
    }
  }

  void TakeAllowed(std::span<const uint32_t> list, std::vector<uint32_t>& rows) const {
    if (search_.allowed.empty() || !graph_.same.empty()) {
      for (const uint32_t row : list) TakeEqual(row, rows);
      return;
    }
    const size_t before = rows.size();
    rows.resize(before + list.size());
    const std::span<const uint64_t> allowed = search_.allowed.first((graph_.documents + 63) / 64);
    rows.resize(before + RowsInBitmap(list, allowed, std::span(rows).subspan(before)));
  }

  // The node and those with an equal code, as far as they are allowed.
  void TakeEqual(uint32_t node, std::vector<uint32_t>& rows) const {
    ForEachEqual(graph_, node, [&](uint32_t row) {
      if (Allowed(row)) rows.push_back(row);
    });
  }

  // From places to rows.
  void FindRows(ListBlock& block) const {
    size_t i = 0;
    for (ListBlock::List& list : block.lists) {
      for (; i < list.end; ++i) TakeEqual(graph_.members[block.places[i]], block.rows);
      list.end = block.rows.size();
    }
  }

  void Compare(ListBlock& block) {
    if (kept_ == nullptr && !block.places.empty()) FindRows(block);
    // Of what is kept, places; else rows.
    const std::vector<uint32_t>& rows = kept_ != nullptr ? block.places : block.rows;
    block.distances.resize(rows.size());
    if (rows.empty()) return;
    const CodeRows codes = kept_ != nullptr ? CodeRows{kept_->codes, graph_.words} : codes_;
    HammingGather(codes, query_, rows, block.distances);
    effort_.compared += rows.size();
    size_t i = 0;
    for (const ListBlock::List& list : block.lists) {
      for (; i < list.end; ++i) scratch_.model.Learn(list.of_pivot, block.distances[i]);
    }
    scratch_.model.Conclude();
    scratch_.hits.resize(rows.size());
    const auto limit = static_cast<uint16_t>(std::min<uint32_t>(RankOf(best_.bound()), 0xFFFF));
    const size_t hits = IndicesAtMost(block.distances, limit, scratch_.hits);
    for (const uint32_t at : std::span(scratch_.hits).first(hits)) {
      const uint64_t key = RankedKey(block.distances[at], kept_ != nullptr ? kept_->rows[rows[at]] : rows[at]);
      if (key < best_.bound() && !scratch_.offered.Has(RowOf(key))) best_.Offer(key);
    }
  }

  // Whether no more rows better than the worst that is kept can be expected in the lists after `block` than may be
  // missed, or whether a scan would be quicker than looking at so many lists that this is so. `seen`: allowed rows in
  // the lists so far. The lists to come are taken to have as many as all that are left have in the mean, or as those of
  // the last blocks where these have more.
  bool MayStop(const ListBlock& block, size_t seen) {
    PivotOrder& order = scratch_.order;
    const double bound = RankOf(best_.bound()) - 0.5;
    const double mean =
        (search_.sparse->allowed - static_cast<double>(seen)) / static_cast<double>(order.size() - block.end);
    const double here = static_cast<double>(block.documents()) / static_cast<double>(block.end - block.begin);
    in_list_ = in_list_ < 0 ? here : in_list_ + kNewer * (here - in_list_);
    const double rate = std::max(mean, in_list_);
    const size_t nearest = order.DistanceAt(block.end);
    const std::span<const uint32_t> counts = order.counts();
    size_t left = 0;  // lists to come at the distance of the nearest of them
    for (size_t distance = 0; distance <= nearest; ++distance) left += counts[distance];
    left -= block.end;
    scratch_.shares.clear();
    double sum = 0;
    size_t distance = nearest;
    for (; distance < counts.size(); ++distance) {
      const double share = scratch_.model.ShareNearer(distance, bound);
      const double expected = share * rate * static_cast<double>(distance == nearest ? left : counts[distance]);
      scratch_.shares.push_back(expected);
      sum += expected;
      if (share < kNothing) break;
    }
    // The more was looked at already, the less is a query worth that needs still more.
    const double tired =
        std::min(1 + (static_cast<double>(block.end) + 0.5 * static_cast<double>(seen)) / kTiring, kMostTired);
    const double missed = search_.sparse->missed * tired;
    if (sum <= missed) return true;
    size_t lists = 0;  // to be looked at
    for (size_t i = 0; i < scratch_.shares.size() && sum > missed; ++i) {
      sum -= scratch_.shares[i];
      lists += i == 0 ? left : counts[nearest + i];
    }
    // What was looked at so far is lost then: by now it is a part of what the scan takes.
    const double most = search_.sparse->most, before = static_cast<double>(seen);
    effort_.gave_up = before > most / kPartBeforeScan && before + static_cast<double>(lists) * mean > most;
    return effort_.gave_up;
  }

  const GraphView& graph_;
  CodeRows codes_;
  std::span<const uint64_t> query_;
  const GraphSearch& search_;
  ListScratch& scratch_;
  TopK& best_;
  const AllowedNodes* kept_ = nullptr;
  std::span<const uint64_t> in_lists_;
  double in_list_ = -1;  // allowed rows in a list, lately; below 0 before the first thought
  GraphEffort effort_;
};

}  // namespace

void PivotOrder::Start(const GraphView& graph, std::span<const uint64_t> query) {
  const size_t pivots = graph.ends.size(), levels = 64 * graph.words + 1;
  distances_.resize(pivots);
  HammingDistances({graph.pivots, graph.words}, query, distances_);
  // Four counts of each distance, so that pivots at the same one do not wait for each other.
  at_.assign(4 * levels, 0);
  for (size_t i = 0; i < pivots; ++i) ++at_[(i & 3) * levels + distances_[i]];
  counts_.resize(levels);
  for (size_t d = 0; d < levels; ++d) counts_[d] = at_[d] + at_[levels + d] + at_[2 * levels + d] + at_[3 * levels + d];
  order_.clear();
}

void PivotOrder::Extend(size_t i) {
  const size_t wanted = i < size() / kOrderedAtFirst ? size() / kOrderedAtFirst : size();
  at_.resize(counts_.size());
  size_t limit = 0, total = 0;
  for (; limit < counts_.size(); ++limit) {
    at_[limit] = static_cast<uint32_t>(total);
    total += counts_[limit];
    if (total >= wanted) break;
  }
  near_.resize(size());
  near_.resize(IndicesAtMost(distances_, static_cast<uint16_t>(limit), near_));
  order_.resize(near_.size());
  for (const uint32_t pivot : near_) order_[at_[distances_[pivot]]++] = pivot;
}

void ListModel::Start(double radius, size_t bits) {
  seen_ = sum_ = squares_ = shift_ = 0;
  stretch_ = 1;
  if (radius == radius_ && means_.size() == bits + 1) return;
  radius_ = radius;
  means_.resize(bits + 1);
  weights_.resize(bits + 1);
  const auto all = static_cast<double>(bits);
  const double turned = std::clamp(radius, 1.0, all);
  for (size_t d = 0; d <= bits; ++d) {
    const auto distance = static_cast<double>(d);
    const double part = distance / all, slope = 1 - 2 * part;
    means_[d] = distance + turned * slope;
    // Which bits are turned varies, and how many are.
    const double variance = turned * (1 - turned / all) * (4 * part * (1 - part) + slope * slope);
    weights_[d] = 1 / std::sqrt(std::max(1.0, variance));
  }
}

void ListModel::Conclude() {
  shift_ = std::min(0.0, sum_ / (seen_ + kPriorRows));
  const double mean = sum_ / std::max(seen_, 1.0);
  const double variance = (kPriorRows + squares_ - seen_ * mean * mean) / (seen_ + kPriorRows);
  stretch_ = 1 / std::sqrt(std::max(1.0, variance));
  if (seen_ > kRowsRemembered) seen_ /= 2, sum_ /= 2, squares_ /= 2;
}

double ListModel::ShareNearer(size_t of_pivot, double bound) const {
  return NormalBelow(((bound - means_[of_pivot]) * weights_[of_pivot] - shift_) * stretch_);
}

GraphEffort SearchLists(const GraphView& graph, CodeRows codes, std::span<const uint64_t> query,
                        const GraphSearch& search, ListScratch& scratch, TopK& best) {
  return Lists(graph, codes, query, search, scratch, best).Run();
}

}  // namespace likeness
