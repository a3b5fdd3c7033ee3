// Each level of instructions beside a plain loop, at every length of code.
#include "kernel/hamming_gather.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "base/random.h"
#include "kernel/cpu.h"

namespace likeness {
namespace {

TEST(HammingGather, IsTheDistanceOfEachRowAtEveryLevel) {
  Random random(20261122);
  for (const size_t words : {1, 2, 3, 4, 5, 8, 12, 20, 64}) {
    std::vector<uint64_t> codes(300 * words), query(words);
    for (uint64_t& word : codes) word = random();
    for (uint64_t& word : query) word = random();
    for (const size_t count : {0, 1, 7, 8, 9, 31, 300}) {
      std::vector<uint32_t> rows(count);
      for (uint32_t& row : rows) row = static_cast<uint32_t>(random.Below(300));
      std::vector<uint16_t> expected(count), found(count);
      for (size_t i = 0; i < count; ++i) {
        for (size_t w = 0; w < words; ++w) {
          expected[i] = static_cast<uint16_t>(expected[i] + std::popcount(codes[rows[i] * words + w] ^ query[w]));
        }
      }
      for (const CpuLevel level : AvailableCpuLevels()) {
        const ForceCpuLevelForTest force(level);
        HammingGather({codes, words}, query, rows, found);
        EXPECT_EQ(found, expected) << words << " words, " << count << " rows, " << CpuLevelName(level);
      }
    }
  }
}

TEST(HammingGather, SelectsAndCountsAtEveryLevel) {
  Random random(7);
  for (const size_t count : {0, 1, 15, 16, 17, 33, 64, 1000}) {
    std::vector<uint16_t> distances(count);
    std::vector<uint32_t> rows(count), at_most, in_bitmap, out(count);
    std::vector<uint64_t> bitmap(20);
    uint64_t bits = 0;
    for (uint64_t& word : bitmap) bits += static_cast<uint64_t>(std::popcount(word = random() & random()));
    for (size_t i = 0; i < count; ++i) {
      distances[i] = static_cast<uint16_t>(random.Below(0x10000));
      rows[i] = static_cast<uint32_t>(random.Below(64 * bitmap.size()));
      if (distances[i] <= 40000) at_most.push_back(static_cast<uint32_t>(i));
      if ((bitmap[rows[i] / 64] >> (rows[i] % 64) & 1) != 0) in_bitmap.push_back(rows[i]);
    }
    for (const CpuLevel level : AvailableCpuLevels()) {
      const ForceCpuLevelForTest force(level);
      out.resize(count);
      out.resize(IndicesAtMost(distances, 40000, out));
      EXPECT_EQ(out, at_most) << count << CpuLevelName(level);
      out.resize(count);
      out.resize(RowsInBitmap(rows, bitmap, out));
      EXPECT_EQ(out, in_bitmap) << count << CpuLevelName(level);
      EXPECT_EQ(CountBits(bitmap), bits);
    }
  }
}

}  // namespace
}  // namespace likeness
