// Squared Euclidean distances of one vector of bytes to many.
//
// Distances are whole numbers and exact, equal at every level, in [0, 2^31). Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace likeness {

inline constexpr size_t kByteRowsBlock = 16;
inline constexpr size_t kMaxByteDimension = 4096;

// Vectors packed for the scan: in blocks of sixteen, four elements of each row in turn, so that one register holds four
// elements of all sixteen. A block may be filled up with rows that are at no distance from anything.
class ByteRows {
 public:
  // REQUIRES: dimension is a multiple of 4, 4 <= dimension <= kMaxByteDimension
  explicit ByteRows(size_t dimension) : dimension_(dimension) {}

  // Appends rows, row after row, and fills their last block up: what is appended next begins a block.
  // REQUIRES: rows.size() is a multiple of dimension()
  void Append(std::span<const uint8_t> rows);
  void Reserve(size_t blocks);

  size_t dimension() const { return dimension_; }
  size_t blocks() const { return offsets_.size() / kByteRowsBlock; }
  const uint8_t* data() const { return data_.data(); }  // [blocks, dimension / 4, 16, 4]
  const int32_t* offsets() const {
    return offsets_.data();
  }  // |row|^2 - 256 * sum(row); kNoByteRow where there is none

 private:
  size_t dimension_;
  std::vector<uint8_t> data_;
  std::vector<int32_t> offsets_;
};

inline constexpr int32_t kNoByteRow = std::numeric_limits<int32_t>::max();

struct NearRow {
  int32_t distance = 0;
  uint32_t row = 0;  // counted in whole blocks: row r of block b is 16 * b + r
};

// Appends the rows of blocks [first, first + count) whose distance to `query` is below `bound` to `out`, by row.
// REQUIRES: query.size() == rows.dimension(), the blocks exist, `out` has room for 16 * count. Returns how many.
size_t RowsWithin(const ByteRows& rows, size_t first, size_t count, std::span<const uint8_t> query, int32_t bound,
                  NearRow* out);

}  // namespace likeness
