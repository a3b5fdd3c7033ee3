// The best k of many, the same ones whatever the order in which they are offered.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace likeness {

// A rank and a row in one number that orders by rank, then by row: smaller is better. Ranks are distances, or scores
// through RankOfScore.
constexpr uint64_t RankedKey(uint32_t rank, uint32_t row) { return uint64_t{rank} << 32 | row; }
constexpr uint32_t RankOf(uint64_t key) { return static_cast<uint32_t>(key >> 32); }
constexpr uint32_t RowOf(uint64_t key) { return static_cast<uint32_t>(key); }

// A rank that is smaller for a larger score; equal scores (0 and -0 are equal) have equal ranks, NaN ranks last.
inline uint32_t RankOfScore(float score) {
  if (score != score) return std::numeric_limits<uint32_t>::max();
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);
  return (bits >> 31) != 0 ? bits : 0x7FFFFFFFu - bits;
}

// Keeps the k smallest of the distinct keys offered. Offering costs one comparison for a key that is not kept, O(log k)
// for one that is. One thread at a time; to use several, keep one each and offer all to one at the end.
class TopK {
 public:
  // Keys of `bound` and above are never kept: RankedKey(limit + 1, 0) keeps distances up to and including `limit`.
  explicit TopK(size_t k, uint64_t bound = std::numeric_limits<uint64_t>::max()) : k_(k), bound_(k == 0 ? 0 : bound) {}

  // Only keys below this would be kept now. Never rises.
  uint64_t bound() const { return bound_; }
  size_t size() const { return heap_.size(); }

  void Offer(uint64_t key) {
    if (key >= bound_) return;
    if (heap_.size() == k_) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = key;
    } else {
      heap_.push_back(key);
    }
    std::push_heap(heap_.begin(), heap_.end());
    if (heap_.size() == k_) bound_ = heap_.front();
  }

  // The keys kept, in no particular order.
  std::span<const uint64_t> keys() const { return heap_; }

  // The keys kept, best first; leaves the keeper empty but with its bound.
  std::vector<uint64_t> TakeSorted() {
    std::sort_heap(heap_.begin(), heap_.end());
    return std::exchange(heap_, {});
  }

 private:
  size_t k_;
  uint64_t bound_;
  std::vector<uint64_t> heap_;  // largest, that is worst, on top
};

}  // namespace likeness
