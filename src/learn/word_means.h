// k-means over descriptors, with each round's assignment through a search that looks at part of the words
// (J. Philbin et al., "Object Retrieval with Large Vocabularies and Fast Spatial Matching", CVPR 2007, section 3.1:
// approximate k-means).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "feature/vocabulary_search.h"
#include "learn/training.h"

namespace likeness {

// Words that are descriptors drawn without return. REQUIRES: 1 <= words <= rows.size() / 128
std::vector<uint8_t> DrawWords(std::span<const uint8_t> rows, size_t words, uint64_t seed);

// The nearest word of each row, as `search` finds it. The number of threads changes nothing.
struct WordsOfRows {
  std::vector<uint32_t> word;     // [rows]
  std::vector<uint32_t> members;  // rows, word after word, ascending in each
  std::vector<uint32_t> begins;   // [words + 1]: the members of a word
  uint64_t total_distance = 0;    // squared
};
absl::StatusOr<WordsOfRows> FindWords(std::span<const uint8_t> rows, const WordSearch& search, size_t threads,
                                      std::string_view stage, const TrainingControl& control);

// The mean of each word's members; a word without any becomes a descriptor drawn by the seed.
std::vector<uint8_t> MeansOf(std::span<const uint8_t> rows, const WordsOfRows& assigned, uint64_t seed, size_t threads);

// For each word and each of the projection's 64 rows the median of projection . (descriptor - word) over members, in
// kMedianStep; 0 for a word with fewer than kFewMembers. Looks at 1,024 members of a word at most.
inline constexpr size_t kFewMembers = 5;
std::vector<int8_t> MediansOf(std::span<const uint8_t> rows, const WordsOfRows& assigned,
                              std::span<const uint8_t> words, std::span<const float> projection, size_t threads);

}  // namespace likeness
