// Hamming distance of one binary code to rows here and there: what an index looks at. Beside the scan of hamming.h.
//
// Every function may be called from any thread; all levels of instructions give the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel/hamming.h"

namespace likeness {

// out[i] = distance of `query` to row rows[i]. Asks for the rows ahead of time, so that many are on their way at once.
// REQUIRES: query.size() == codes.words, out.size() >= rows.size(), every row below codes.rows()
void HammingGather(CodeRows codes, std::span<const uint64_t> query, std::span<const uint32_t> rows,
                   std::span<uint16_t> out);

// Writes the indices i with distances[i] <= limit, ascending, and returns how many there are.
// REQUIRES: out.size() >= distances.size()
size_t IndicesAtMost(std::span<const uint16_t> distances, uint16_t limit, std::span<uint32_t> out);

// Writes those of `rows` whose bit is set in `bitmap` (bit r % 64 of word r / 64), in their order, and returns how many
// there are. A row from 64 * bitmap.size() on is not in it. REQUIRES: out.size() >= rows.size(), bitmap.size() <= 2^26
size_t RowsInBitmap(std::span<const uint32_t> rows, std::span<const uint64_t> bitmap, std::span<uint32_t> out);

// Writes the numbers of the bits that are 1, each with `first` added, ascending, and returns how many there are.
// REQUIRES: first + 64 * bitmap.size() <= 2^32, out.size() >= 64 * bitmap.size()
size_t RowsOfBitmap(std::span<const uint64_t> bitmap, uint32_t first, std::span<uint32_t> out);

// How many bits are 1.
uint64_t CountBits(std::span<const uint64_t> words);

}  // namespace likeness
