#include "feature/vocabulary_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/random.h"
#include "base/thread_pool.h"
#include "kernel/top_k.h"

namespace likeness {
namespace {

constexpr size_t kSize = kLocalDescriptorSize;
constexpr int kRounds = 6;         // of the k-means that makes the cells
constexpr size_t kFewWords = 512;  // up to here all words are one cell
constexpr size_t kTask = 1024;     // words that a thread takes at once
constexpr int32_t kUnbounded = std::numeric_limits<int32_t>::max();

size_t CellsFor(size_t words) {
  return words <= kFewWords ? 1 : static_cast<size_t>(1.6 * std::sqrt(static_cast<double>(words)));
}

std::span<const uint8_t, kSize> Descriptor(std::span<const uint8_t> rows, size_t i) {
  return std::span<const uint8_t, kSize>(rows.data() + i * kSize, kSize);
}

bool Before(const WordMatch& a, const WordMatch& b) {
  return a.distance != b.distance ? a.distance < b.distance : a.word < b.word;
}

// The nearest row of all, ties by row.
uint32_t NearestRow(const ByteRows& rows, std::span<const uint8_t> query, std::vector<NearRow>& scratch) {
  scratch.resize(rows.blocks() * kByteRowsBlock);
  size_t found = RowsWithin(rows, 0, 1, query, kUnbounded, scratch.data());
  const auto nearer = [](const NearRow& a, const NearRow& b) { return a.distance < b.distance; };
  const NearRow first = *std::min_element(scratch.begin(), scratch.begin() + static_cast<ptrdiff_t>(found), nearer);
  found = RowsWithin(rows, 1, rows.blocks() - 1, query, first.distance, scratch.data());
  if (found == 0) return first.row;
  return std::min_element(scratch.begin(), scratch.begin() + static_cast<ptrdiff_t>(found), nearer)->row;
}

}  // namespace

WordCells GroupWords(std::vector<uint8_t>& words, uint64_t seed, size_t threads) {
  const size_t n = words.size() / kSize, cells = CellsFor(n);
  WordCells grouped;
  std::vector<uint32_t> cell_of(n, 0);
  // Centers begin as words drawn without return.
  Random random(seed);
  std::vector<uint32_t> drawn(n);
  for (size_t i = 0; i < n; ++i) drawn[i] = static_cast<uint32_t>(i);
  for (size_t c = 0; c < cells; ++c) {
    std::swap(drawn[c], drawn[c + random.Below(n - c)]);
    const auto word = Descriptor(words, drawn[c]);
    grouped.centers.insert(grouped.centers.end(), word.begin(), word.end());
  }
  for (int round = 0; round < kRounds; ++round) {
    ByteRows centers(kSize);
    centers.Append(grouped.centers);
    ParallelFor((n + kTask - 1) / kTask, threads, [&](size_t task) {
      std::vector<NearRow> scratch;
      for (size_t i = task * kTask; i < std::min(n, (task + 1) * kTask); ++i) {
        cell_of[i] = NearestRow(centers, Descriptor(words, i), scratch);
      }
    });
    std::vector<uint64_t> sums(cells * kSize, 0);
    std::vector<uint32_t> counts(cells, 0);
    for (size_t i = 0; i < n; ++i) {
      ++counts[cell_of[i]];
      for (size_t j = 0; j < kSize; ++j) sums[cell_of[i] * kSize + j] += words[i * kSize + j];
    }
    if (round == kRounds - 1) break;  // the words lie with the centers that they were compared to
    for (size_t c = 0; c < cells; ++c) {
      if (counts[c] == 0) continue;
      for (size_t j = 0; j < kSize; ++j) {
        grouped.centers[c * kSize + j] = static_cast<uint8_t>((sums[c * kSize + j] + counts[c] / 2) / counts[c]);
      }
    }
  }
  grouped.begins.assign(cells + 1, 0);
  for (const uint32_t cell : cell_of) ++grouped.begins[cell + 1];
  for (size_t c = 0; c < cells; ++c) grouped.begins[c + 1] += grouped.begins[c];
  std::vector<uint32_t> next(grouped.begins.begin(), grouped.begins.end() - 1);
  std::vector<uint8_t> ordered(words.size());
  for (size_t i = 0; i < n; ++i) {
    std::memcpy(ordered.data() + size_t{next[cell_of[i]]++} * kSize, words.data() + i * kSize, kSize);
  }
  words = std::move(ordered);
  return grouped;
}

WordSearch::WordSearch(std::span<const uint8_t> words, const WordCells& cells)
    : centers_(kSize), words_(kSize), begins_(cells.begins) {
  centers_.Append(cells.centers);
  largest_ = centers_.blocks();
  words_.Reserve(words.size() / kSize / kByteRowsBlock + begins_.size());
  blocks_.push_back(0);
  for (size_t c = 0; c + 1 < begins_.size(); ++c) {
    words_.Append(words.subspan(begins_[c] * kSize, (begins_[c + 1] - begins_[c]) * kSize));
    blocks_.push_back(static_cast<uint32_t>(words_.blocks()));
    largest_ = std::max<size_t>(largest_, blocks_[c + 1] - blocks_[c]);
  }
}

void WordSearch::RankCells(std::span<const uint8_t, kSize> descriptor, size_t probes,
                           std::vector<uint64_t>& order) const {
  thread_local std::vector<NearRow> near;
  near.resize(centers_.blocks() * kByteRowsBlock);
  const size_t found = RowsWithin(centers_, 0, centers_.blocks(), descriptor, kUnbounded, near.data());
  order.clear();
  for (size_t c = 0; c < found; ++c) {
    order.push_back(RankedKey(static_cast<uint32_t>(near[c].distance), near[c].row));
  }
  if (probes < order.size()) {
    std::nth_element(order.begin(), order.begin() + static_cast<ptrdiff_t>(probes), order.end());
  }
  std::sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(std::min(probes, order.size())));
}

size_t WordSearch::Nearest(std::span<const uint8_t, kSize> descriptor, size_t probes, std::span<WordMatch> out) const {
  thread_local std::vector<NearRow> near;
  thread_local std::vector<uint64_t> order;
  near.resize(largest_ * kByteRowsBlock);
  RankCells(descriptor, probes, order);

  std::array<WordMatch, kMostNearest> best;
  size_t count = 0;
  int32_t bound = kUnbounded;
  const auto look = [&](size_t cell, size_t first, size_t blocks) {
    const size_t found = RowsWithin(words_, first, blocks, descriptor, bound, near.data());
    for (size_t i = 0; i < found; ++i) {
      const WordMatch match = {begins_[cell] + (near[i].row - blocks_[cell] * static_cast<uint32_t>(kByteRowsBlock)),
                               near[i].distance};
      if (count == out.size() && !Before(match, best[count - 1])) continue;
      if (count < out.size()) ++count;
      size_t at = count - 1;
      for (; at > 0 && Before(match, best[at - 1]); --at) best[at] = best[at - 1];
      best[at] = match;
    }
    // Equal distances may still win by a smaller word.
    if (count == out.size()) bound = best[count - 1].distance + 1;
  };
  for (size_t i = 0; i < order.size() && (i < probes || count < out.size()); ++i) {
    if (i == probes) std::sort(order.begin() + static_cast<ptrdiff_t>(probes), order.end());
    const size_t cell = RowOf(order[i]), first = blocks_[cell], blocks = blocks_[cell + 1] - first;
    if (blocks == 0) continue;
    // A bound first, from one block, so that few rows of the others are handed out.
    look(cell, first, 1);
    if (blocks > 1) look(cell, first + 1, blocks - 1);
  }
  std::copy_n(best.begin(), count, out.begin());
  return count;
}

void WordSearch::NearestOfEach(std::span<const uint8_t> rows, size_t probes, std::span<WordMatch> out) const {
  const size_t n = out.size(), cells = this->cells();
  probes = std::min(probes, cells);
  std::vector<uint64_t> order;
  std::vector<uint32_t> looks(n * probes);     // cells of each row, nearest first
  std::vector<uint32_t> begins(cells + 1, 0);  // where the rows of a cell begin in `lookers`
  std::vector<NearRow> near(largest_ * kByteRowsBlock);
  // One look at each row's nearest cell gives it a bound; the others then hand out few words.
  const auto look = [&](size_t row, size_t cell, size_t first, size_t blocks) {
    WordMatch& best = out[row];
    const int32_t bound = best.distance == kUnbounded ? kUnbounded : best.distance + 1;
    const size_t found = RowsWithin(words_, first, blocks, Descriptor(rows, row), bound, near.data());
    for (size_t i = 0; i < found; ++i) {
      const WordMatch match = {begins_[cell] + (near[i].row - blocks_[cell] * static_cast<uint32_t>(kByteRowsBlock)),
                               near[i].distance};
      if (Before(match, best)) best = match;
    }
  };
  for (size_t row = 0; row < n; ++row) {
    RankCells(Descriptor(rows, row), probes, order);
    for (size_t i = 0; i < probes; ++i) {
      const uint32_t cell = RowOf(order[i]);
      looks[row * probes + i] = cell;
      ++begins[cell + 1];
    }
    out[row] = {std::numeric_limits<uint32_t>::max(), kUnbounded};
  }
  for (size_t c = 0; c < cells; ++c) begins[c + 1] += begins[c];
  std::vector<uint32_t> lookers(n * probes), next(begins.begin(), begins.end() - 1);
  for (size_t row = 0; row < n; ++row) {
    for (size_t i = 0; i < probes; ++i) lookers[next[looks[row * probes + i]]++] = static_cast<uint32_t>(row);
  }
  for (const bool nearest : {true, false}) {
    for (size_t c = 0; c < cells; ++c) {
      const size_t first = blocks_[c], blocks = blocks_[c + 1] - first;
      if (blocks == 0) continue;
      for (uint32_t l = begins[c]; l < begins[c + 1]; ++l) {
        const size_t row = lookers[l];
        if ((looks[row * probes] == c) != nearest) continue;
        if (nearest) look(row, c, first, 1);
        if (!nearest || blocks > 1) look(row, c, first + nearest, blocks - nearest);
      }
    }
  }
  for (size_t row = 0; row < n; ++row) {
    // All of its cells may be empty ones.
    if (out[row].distance == kUnbounded) Nearest(Descriptor(rows, row), probes, out.subspan(row, 1));
  }
}

}  // namespace likeness
