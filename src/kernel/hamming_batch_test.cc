// The scan for many queries at every level that this processor has, against one scan for each.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "kernel/cpu.h"
#include "kernel/hamming.h"
#include "support/at_level.h"

namespace likeness {
namespace {

class HammingBatch : public AtLevel {};

LIKENESS_AT_EVERY_LEVEL(HammingBatch);

// What each query finds by itself, by the plain loops.
std::vector<std::vector<uint64_t>> OneByOne(CodeRows codes, CodeRows queries, const HammingRange& range,
                                            std::vector<TopK> best) {
  const ForceCpuLevelForTest scalar(CpuLevel::kScalar);
  std::vector<std::vector<uint64_t>> found;
  for (size_t q = 0; q < queries.rows(); ++q) {
    HammingNearest(codes, queries.data.subspan(q * queries.words, queries.words), range, best[q]);
    found.push_back(best[q].TakeSorted());
  }
  return found;
}

std::vector<std::vector<uint64_t>> Sorted(std::vector<TopK> best) {
  std::vector<std::vector<uint64_t>> found;
  for (TopK& keeper : best) found.push_back(keeper.TakeSorted());
  return found;
}

TEST_P(HammingBatch, FindsForEachQueryWhatItFindsAlone) {
  for (int round = 0; round < 120; ++round) {
    const size_t words = round < 64 ? static_cast<size_t>(round) + 1 : std::vector<size_t>{1, 4, 20, 64}[round % 4];
    const size_t rows = random_.Below(400), count = random_.Below(round % 8 == 0 ? 200 : 40);
    std::vector<uint64_t> codes = Words(rows * words), queries = Words(count * words);
    // Few different distances, so that ties decide; and both ends, where every bit differs or none.
    if (round % 2 == 0) std::fill(codes.begin(), codes.end(), round % 4 == 0 ? 0 : ~uint64_t{0});
    for (size_t i = 0; round % 2 == 0 && i < codes.size(); i += 3) codes[i] ^= random_() & 1;
    if (count > 2) std::fill_n(queries.begin(), words, 0), std::fill_n(queries.end() - words, words, ~uint64_t{0});
    std::vector<uint64_t> allowed;
    if (round % 3 != 0) allowed = Words((rows + 63) / 64);
    if (round % 3 == 2) {
      for (uint64_t& word : allowed) word &= random_() & random_() & random_() & random_();
    }
    HammingRange range{.allowed = allowed};
    if (round % 5 == 0) range = {random_.Below(rows + 1), random_.Below(2 * rows + 1), allowed};
    std::vector<TopK> best;
    for (size_t q = 0; q < count; ++q) {
      const uint64_t within = RankedKey(static_cast<uint32_t>(random_.Below(64 * words + 2)), 0);
      best.push_back(random_.Below(4) == 0 ? TopK(random_.Below(20), within) : TopK(random_.Below(60)));
    }
    const auto expected = OneByOne({codes, words}, {queries, words}, range, best);
    HammingNearestBatch({codes, words}, {queries, words}, range, best);
    ASSERT_EQ(Sorted(best), expected) << "round " << round << ", " << words << " words, " << rows << " rows, " << count;
  }
}

TEST_P(HammingBatch, MoreQueriesThanOnePassTakes) {
  constexpr size_t kWords = 64, kRows = 70, kQueries = 300;
  const std::vector<uint64_t> codes = Words(kRows * kWords), queries = Words(kQueries * kWords);
  std::vector<TopK> best(kQueries, TopK(3));
  const auto expected = OneByOne({codes, kWords}, {queries, kWords}, {}, best);
  HammingNearestBatch({codes, kWords}, {queries, kWords}, {}, best);
  EXPECT_EQ(Sorted(best), expected);
}

TEST_P(HammingBatch, PiecesOfAnyOrderAreTheWhole) {
  constexpr size_t kWords = 4, kRows = 3000, kQueries = 37;
  std::vector<uint64_t> codes(kRows * kWords), queries(kQueries * kWords);
  for (uint64_t& word : codes) word = random_() & 0x11;  // many ties
  for (uint64_t& word : queries) word = random_() & 0x11;
  std::vector<TopK> whole(kQueries, TopK(50)), backwards(kQueries, TopK(50));
  HammingNearestBatch({codes, kWords}, {queries, kWords}, {}, whole);
  for (size_t end = kRows; end > 0;) {
    const size_t begin = end - std::min<size_t>(end, 1 + random_.Below(300));
    HammingNearestBatch({codes, kWords}, {queries, kWords}, {.begin = begin, .end = end}, backwards);
    end = begin;
  }
  EXPECT_EQ(Sorted(whole), Sorted(backwards));
}

TEST_P(HammingBatch, MaskAndOrderOfBitsChangeNoAnswer) {
  constexpr size_t kWords = 5, kRows = 500, kQueries = 20;
  const std::vector<uint64_t> codes = Words(kRows * kWords), queries = Words(kQueries * kWords), mask = Words(kWords);
  // One permutation of the words and a rotation of the bits in each.
  const auto change = [&](const std::vector<uint64_t>& from) {
    std::vector<uint64_t> to(from.size());
    for (size_t i = 0; i < from.size(); ++i) {
      const uint64_t word = from[i] ^ mask[i % kWords];
      to[i / kWords * kWords + (2 * i + 1) % kWords] = word << 13 | word >> 51;
    }
    return to;
  };
  std::vector<TopK> plain(kQueries, TopK(10)), changed(kQueries, TopK(10));
  HammingNearestBatch({codes, kWords}, {queries, kWords}, {}, plain);
  const std::vector<uint64_t> other_codes = change(codes), other_queries = change(queries);
  HammingNearestBatch({other_codes, kWords}, {other_queries, kWords}, {}, changed);
  EXPECT_EQ(Sorted(plain), Sorted(changed));
}

TEST_P(HammingBatch, ThreadsDoNotDisturbEachOther) {
  constexpr size_t kWords = 16, kRows = 2000, kQueries = 50;
  const std::vector<uint64_t> codes = Words(kRows * kWords), queries = Words(kQueries * kWords);
  std::vector<std::vector<TopK>> best(4, std::vector<TopK>(kQueries, TopK(10)));
  const auto expected = OneByOne({codes, kWords}, {queries, kWords}, {}, best[0]);
  std::vector<std::thread> threads;
  for (std::vector<TopK>& mine : best) {
    threads.emplace_back([&] { HammingNearestBatch({codes, kWords}, {queries, kWords}, {}, mine); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<TopK>& mine : best) EXPECT_EQ(Sorted(mine), expected);
}

}  // namespace
}  // namespace likeness
