// For the sources of the batch scan alone: blocks of rows against all queries.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernel/hamming.h"

namespace likeness::hamming_batch {

inline constexpr size_t kBlock = 32;  // rows that are compared at one go

// Rows to compare, in ascending order. Slots from `count` on repeat the last row.
// REQUIRES: 1 <= count <= kBlock
struct Block {
  std::array<uint32_t, kBlock> rows;
  size_t count = 0;
};

// A distance at or below its query's limit.
struct Found {
  uint32_t query = 0;
  uint32_t slot = 0;  // below the block's count
  uint32_t distance = 0;
};

// Compares the rows of `block` with every query and writes what lies within `limits`, [queries], where -1 allows no
// distance; returns how many. `out` has room for kBlock * queries.rows().
using Compare = size_t (*)(CodeRows codes, const Block& block, CodeRows queries, const int32_t* limits, Found* out);

// The queries spread out into tiles, and the calling thread's tile registers, from construction to destruction: nobody
// else may use them meanwhile.
class Tiles {
 public:
  // REQUIRES: the level is kAmx
  explicit Tiles(CodeRows queries);
  ~Tiles();
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;

  size_t Compare(CodeRows codes, const Block& block, const int32_t* limits, Found* out);

 private:
  struct alignas(64) Line {
    int8_t bytes[64];
  };
  struct alignas(64) Products {
    int32_t of[2][2][256];  // halves of the rows, halves of the queries, [16 rows, 16 queries]
  };

  static constexpr size_t kPart = 8;  // words

  size_t queries_, words_;
  Line rows_[kPart * kBlock];         // a part of each row of the block: [word, 2, 16 lines]
  std::vector<Line> spread_queries_;  // [pairs of 16 queries, word, 2, 16 lines]
  std::vector<Products> products_;    // of each pair of 16 queries
  std::vector<int32_t> bits_;         // set in each query
};

}  // namespace likeness::hamming_batch
