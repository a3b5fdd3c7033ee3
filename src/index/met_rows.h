// The rows that one search has met, so that it looks at each once.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "index/graph.h"

namespace likeness {

// A set of rows, in a table that is no larger than what a search meets. One thread at a time.
class MetRows {
 public:
  void Clear(size_t expected) {
    const size_t size = std::bit_ceil(std::max<size_t>(4 * expected, 1024));
    if (size > slots_.size() || size * 8 < slots_.size()) {
      slots_.assign(size, kNoRow);
    } else {
      std::ranges::fill(slots_, kNoRow);
    }
    count_ = 0;
  }

  // True the first time. REQUIRES: row != kNoRow
  bool Add(uint32_t row) {
    if (2 * count_ >= slots_.size()) Grow();
    if (!Put(row)) return false;
    ++count_;
    return true;
  }

  bool Has(uint32_t row) const {
    if (slots_.empty()) return false;
    const size_t mask = slots_.size() - 1;
    size_t at = (row * 0x9E3779B1u) >> 7 & mask;
    while (slots_[at] != kNoRow && slots_[at] != row) at = (at + 1) & mask;
    return slots_[at] == row;
  }

 private:
  bool Put(uint32_t row) {
    const size_t mask = slots_.size() - 1;
    size_t at = (row * 0x9E3779B1u) >> 7 & mask;
    while (slots_[at] != kNoRow) {
      if (slots_[at] == row) return false;
      at = (at + 1) & mask;
    }
    slots_[at] = row;
    return true;
  }

  void Grow() {
    std::vector<uint32_t> before(2 * slots_.size(), kNoRow);
    before.swap(slots_);
    for (const uint32_t row : before) {
      if (row != kNoRow) Put(row);
    }
  }

  std::vector<uint32_t> slots_;
  size_t count_ = 0;
};

}  // namespace likeness
