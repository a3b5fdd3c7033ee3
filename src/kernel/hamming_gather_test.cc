// Each level of instructions beside a plain loop, at every length of code.
#include "kernel/hamming_gather.h"

#include <gtest/gtest.h>

#include <algorithm>
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
      rows.resize(count);
      EXPECT_EQ(RowsInBitmap(rows, std::span(bitmap).first(0), out), 0u) << "no row is in a bitmap of none";
    }
  }
}

TEST(HammingGather, NamesTheRowsOfABitmapAtEveryLevel) {
  Random random(8);
  for (const uint64_t of_64 : {0, 1, 3, 10, 40, 64}) {
    std::vector<uint64_t> bitmap(50);
    std::vector<uint32_t> expected, out(64 * bitmap.size());
    for (uint32_t row = 0; row < 64 * bitmap.size(); ++row) {
      if (random.Below(64) >= of_64) continue;
      bitmap[row / 64] |= uint64_t{1} << (row % 64);
      expected.push_back(1000 + row);
    }
    for (const CpuLevel level : AvailableCpuLevels()) {
      const ForceCpuLevelForTest force(level);
      const size_t count = RowsOfBitmap(bitmap, 1000, out);
      EXPECT_TRUE(std::ranges::equal(std::span(out).first(count), expected)) << of_64 << " " << CpuLevelName(level);
    }
  }
}

TEST(HammingGather, PassesOverRowsBeyondTheBitmap) {
  const std::vector<uint64_t> bitmap(2, ~uint64_t{0});
  const std::vector<uint32_t> rows = {5, 127, 128, 0xFFFFFFFF, 0x80000000, 64};
  std::vector<uint32_t> out(rows.size());
  for (const CpuLevel level : AvailableCpuLevels()) {
    const ForceCpuLevelForTest force(level);
    const size_t count = RowsInBitmap(rows, bitmap, out);
    EXPECT_EQ(std::vector<uint32_t>(out.begin(), out.begin() + static_cast<ptrdiff_t>(count)),
              (std::vector<uint32_t>{5, 127, 64}));
  }
}

}  // namespace
}  // namespace likeness
