// Hamming distance of binary codes to many: the exact scan.
//
// Distances are in bits, in [0, 64 * words]. The scan for one query is bound by memory, not by arithmetic: it reads
// each code once, in order, and keeping the best costs next to nothing. The scan for many is bound by arithmetic. Any
// thread; spans are only read and need not be aligned beyond their element.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "kernel/top_k.h"

namespace likeness {

inline constexpr size_t kMaxCodeWords = 64;  // 4096 bits

// Codes of equal length, one row after the other. Bit i of a code is bit i % 64 of its word i / 64; bits beyond the
// length of the code are 0, in the query too.
// REQUIRES: 1 <= words <= kMaxCodeWords, data.size() is a multiple of words, rows() <= 2^32 - 1
struct CodeRows {
  std::span<const uint64_t> data;
  size_t words = 1;

  size_t rows() const { return data.size() / words; }
};

// Distance of two codes. REQUIRES: a.size() == b.size() <= kMaxCodeWords
uint32_t HammingDistance(std::span<const uint64_t> a, std::span<const uint64_t> b);

// The distance of `query` to every row.
// REQUIRES: query.size() == codes.words, out.size() == codes.rows()
void HammingDistances(CodeRows codes, std::span<const uint64_t> query, std::span<uint16_t> out);

// Which rows to look at.
struct HammingRange {
  size_t begin = 0;
  size_t end = std::numeric_limits<size_t>::max();  // half open; values above rows() mean rows()
  // One bit a row (bit r % 64 of word r / 64), set where the row may be found; nothing where all may.
  // REQUIRES: empty or at least ceil(rows / 64) words
  std::span<const uint64_t> allowed = {};
};

// Offers RankedKey(distance, row) of the rows in `range` to `best`, so that it holds the nearest, ties by row. Calls
// with consecutive ranges and one keeper are the same as one call with the whole, in any order of the ranges.
// REQUIRES: query.size() == codes.words
void HammingNearest(CodeRows codes, std::span<const uint64_t> query, const HammingRange& range, TopK& best);

// The same for many queries in one pass: best[i] is left as HammingNearest(codes, row i of queries, range, best[i])
// leaves it. Pays from a few queries on; a hundred and more are best. Where the filter allows few rows, only these
// cost. REQUIRES: queries.words == codes.words, best.size() == queries.rows()
void HammingNearestBatch(CodeRows codes, CodeRows queries, const HammingRange& range, std::span<TopK> best);

}  // namespace likeness
