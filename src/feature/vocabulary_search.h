// The nearest words to a descriptor, found without looking at all of them.
//
// Words are grouped into cells by k-means; a search looks at the words of the cells whose centers are nearest
// (J. Sivic and A. Zisserman, "Video Google", ICCV 2003, for words; H. Jegou et al., "Product Quantization for Nearest
// Neighbor Search", PAMI 2011, section IV, for the cells). Distances are exact and squared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "feature/sift.h"
#include "kernel/byte_rows.h"

namespace likeness {

struct WordMatch {
  uint32_t word = 0;
  int32_t distance = 0;  // squared; a descriptor has length 512
  friend auto operator<=>(const WordMatch&, const WordMatch&) = default;
};

// Words that lie cell by cell.
struct WordCells {
  std::vector<uint8_t> centers;  // [cells, 128]
  std::vector<uint32_t> begins;  // [cells + 1]: the words of cell c are [begins[c], begins[c + 1])
};

// Groups `words` ([n, 128], n > 0), which are put in another order for it. The same arguments give the same cells and
// order, whatever `threads`.
WordCells GroupWords(std::vector<uint8_t>& words, uint64_t seed, size_t threads);

// Constant after construction; any thread.
class WordSearch {
 public:
  static constexpr size_t kDefaultProbes = 16;  // cells looked at
  static constexpr size_t kMostNearest = 16;

  // REQUIRES: the cells' begins ascend from 0 to the number of words, which is not 0
  WordSearch(std::span<const uint8_t> words, const WordCells& cells);

  size_t words() const { return begins_.back(); }
  size_t cells() const { return begins_.size() - 1; }

  // Fills `out` with the nearest words that are found, nearest first, ties by word; returns how many there are, which
  // is out.size() unless there are fewer words. More are looked at than `probes` cells where those have too few.
  // REQUIRES: 1 <= out.size() <= kMostNearest, probes > 0
  size_t Nearest(std::span<const uint8_t, kLocalDescriptorSize> descriptor, size_t probes,
                 std::span<WordMatch> out) const;

  // The nearest word of each row of `rows` ([n, 128]), as Nearest finds it for one. Cells are gone through one after
  // another with all rows that look at them, so that words are read from memory once for many rows: several times
  // faster for a large vocabulary. REQUIRES: out.size() == n, probes > 0
  void NearestOfEach(std::span<const uint8_t> rows, size_t probes, std::span<WordMatch> out) const;

 private:
  // The nearest cells, `probes` of them at least in order; fills `order` with all, as RankedKey of distance and cell.
  void RankCells(std::span<const uint8_t, kLocalDescriptorSize> descriptor, size_t probes,
                 std::vector<uint64_t>& order) const;

  ByteRows centers_;
  ByteRows words_;
  std::vector<uint32_t> begins_;
  std::vector<uint32_t> blocks_;  // [cells + 1]: blocks of words_ by cell
  size_t largest_ = 0;            // blocks in a cell, or of centers, at most
};

}  // namespace likeness
