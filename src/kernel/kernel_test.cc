// Every kernel at every level that this processor has, against a plain loop written here, to the bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "kernel/byte_rows.h"
#include "kernel/cpu.h"
#include "kernel/dot.h"
#include "kernel/half.h"
#include "kernel/hamming.h"
#include "kernel/top_k.h"
#include "support/at_level.h"

namespace likeness {
namespace {

// With the values that kernels take.
class Kernel : public AtLevel {
 protected:
  std::vector<int8_t> Bytes(size_t n) {
    std::vector<int8_t> bytes(n);
    for (int8_t& byte : bytes) byte = static_cast<int8_t>(random_());
    return bytes;
  }
  std::vector<float> Floats(size_t n) {
    std::vector<float> floats(n);
    for (float& value : floats) value = static_cast<float>(random_.Normal());
    return floats;
  }
};

LIKENESS_AT_EVERY_LEVEL(Kernel);

uint32_t PlainDistance(const uint64_t* a, const uint64_t* b, size_t words) {
  uint32_t bits = 0;
  for (size_t i = 0; i < 64 * words; ++i) bits += (a[i / 64] ^ b[i / 64]) >> (i % 64) & 1;
  return bits;
}

TEST_P(Kernel, DistancesOfAllLengthsAndTails) {
  for (size_t words = 1; words <= kMaxCodeWords; ++words) {
    for (const size_t rows : {0, 1, 3, 7, 8, 9, 21}) {
      const std::vector<uint64_t> codes = Words(rows * words), query = Words(words);
      std::vector<uint16_t> distances(rows, 0xFFFF);
      HammingDistances({codes, words}, query, distances);
      for (size_t r = 0; r < rows; ++r) {
        ASSERT_EQ(distances[r], PlainDistance(&codes[r * words], query.data(), words)) << words << " words, row " << r;
      }
    }
  }
}

TEST_P(Kernel, DistanceReachesBothEnds) {
  for (const size_t words : {1, 4, 20, 64}) {
    const std::vector<uint64_t> ones(8 * words, ~uint64_t{0}), query(words, 0);
    std::vector<uint16_t> distances(8);
    HammingDistances({ones, words}, query, distances);
    EXPECT_EQ(distances, std::vector<uint16_t>(8, static_cast<uint16_t>(64 * words)));
    EXPECT_EQ(HammingDistance(query, query), 0u);
    EXPECT_EQ(HammingDistance(query, std::span(ones).first(words)), 64 * words);
  }
}

// What HammingNearest must find: all allowed rows sorted, the first k.
std::vector<uint64_t> PlainNearest(const std::vector<uint64_t>& codes, const std::vector<uint64_t>& query,
                                   const HammingRange& range, size_t k) {
  std::vector<uint64_t> keys;
  for (size_t r = range.begin; r < std::min(range.end, codes.size() / query.size()); ++r) {
    if (!range.allowed.empty() && (range.allowed[r / 64] >> (r % 64) & 1) == 0) continue;
    keys.push_back(
        RankedKey(PlainDistance(&codes[r * query.size()], query.data(), query.size()), static_cast<uint32_t>(r)));
  }
  std::sort(keys.begin(), keys.end());
  keys.resize(std::min(k, keys.size()));
  return keys;
}

TEST_P(Kernel, NearestIsTheSortedListCutOff) {
  for (int round = 0; round < 150; ++round) {
    const size_t words = std::vector<size_t>{1, 2, 3, 4, 5, 8, 16, 20, 64}[random_.Below(9)];
    const size_t rows = random_.Below(1500);
    std::vector<uint64_t> codes = Words(rows * words), query = Words(words);
    // Few different distances, so that ties decide.
    if (round % 2 == 0) std::fill(codes.begin(), codes.end(), 0);
    for (size_t i = 0; round % 2 == 0 && i < codes.size(); i += 3) codes[i] = random_() & 1;
    std::vector<uint64_t> allowed;
    if (round % 3 != 0) allowed = Words((rows + 63) / 64);
    if (round % 3 == 2) {  // few allowed rows, in some of the chunks
      for (uint64_t& word : allowed) word &= random_() & random_() & random_() & random_();
    }
    HammingRange range{.allowed = allowed};
    if (round % 5 == 0) range = {random_.Below(rows + 1), random_.Below(2 * rows + 1), allowed};
    const size_t k = random_.Below(120);
    TopK best(k);
    HammingNearest({codes, words}, query, range, best);
    ASSERT_EQ(best.TakeSorted(), PlainNearest(codes, query, range, k)) << "round " << round;
  }
}

TEST_P(Kernel, NearestInPiecesOfAnyOrderIsNearestAtOnce) {
  constexpr size_t kWords = 4, kRows = 3000;
  std::vector<uint64_t> codes(kRows * kWords);
  for (uint64_t& word : codes) word = random_() & 0x11;  // many ties
  const std::vector<uint64_t> query(kWords, 0);
  TopK whole(50), backwards(50);
  HammingNearest({codes, kWords}, query, {}, whole);
  for (size_t end = kRows; end > 0;) {
    const size_t begin = end - std::min<size_t>(end, 1 + random_.Below(300));
    HammingNearest({codes, kWords}, query, {.begin = begin, .end = end}, backwards);
    end = begin;
  }
  EXPECT_EQ(whole.TakeSorted(), backwards.TakeSorted());
}

TEST_P(Kernel, NearestWithinADistance) {
  const std::vector<uint64_t> codes{0b0, 0b1, 0b11, 0b111, 0b1}, query{0};
  TopK best(10, RankedKey(2, 0));
  HammingNearest({codes, 1}, query, {}, best);
  EXPECT_EQ(best.TakeSorted(), (std::vector<uint64_t>{RankedKey(0, 0), RankedKey(1, 1), RankedKey(1, 4)}));
}

TEST_P(Kernel, DotInt8IsExact) {
  for (size_t n = 0; n < 400; ++n) {
    const std::vector<int8_t> a = Bytes(n), b = Bytes(n);
    int64_t sum = 0;
    for (size_t i = 0; i < n; ++i) sum += int64_t{a[i]} * b[i];
    ASSERT_EQ(DotInt8(a, b), sum) << n;
  }
  const std::vector<int8_t> low(kMaxInt8Dimension, -128), high(kMaxInt8Dimension, 127);
  EXPECT_EQ(DotInt8(low, low), 16384 * static_cast<int32_t>(kMaxInt8Dimension));
  EXPECT_EQ(DotInt8(low, high), -16256 * static_cast<int32_t>(kMaxInt8Dimension));
  EXPECT_EQ(DotInt8(high, low), -16256 * static_cast<int32_t>(kMaxInt8Dimension));
}

TEST_P(Kernel, DotFloatHasTheBitsOfTheScalarTwin) {
  for (size_t n = 0; n < 300; ++n) {
    std::vector<float> a = Floats(n), b = Floats(n);
    if (n > 10) a[n / 2] = -1e-30f, b[n / 2] = 1e-30f;  // underflows
    const float here = DotFloat(a, b);
    double exact = 0;
    for (size_t i = 0; i < n; ++i) exact += static_cast<double>(a[i]) * b[i];
    EXPECT_NEAR(here, exact, 1e-4) << n;
    const ForceCpuLevelForTest scalar(CpuLevel::kScalar);
    ASSERT_EQ(std::bit_cast<uint32_t>(here), std::bit_cast<uint32_t>(DotFloat(a, b))) << n;
  }
}

TEST_P(Kernel, MatVecIsADotForEachRow) {
  for (const size_t columns : {1, 63, 64, 65, 200, 1280}) {
    const size_t rows = 1 + random_.Below(9);
    const std::vector<float> matrix = Floats(rows * columns), x = Floats(columns);
    std::vector<float> out(rows);
    MatVec(matrix, x, out);
    for (size_t r = 0; r < rows; ++r) {
      EXPECT_EQ(out[r], DotFloat(std::span(matrix).subspan(r * columns, columns), x)) << columns;
    }
  }
}

// The value of a half from its definition (IEEE 754, section 3.4).
double ValueOfHalf(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const double magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                           : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                            : std::ldexp(1024 + fraction, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST_P(Kernel, EveryHalfBecomesItsFloatAndComesBack) {
  std::vector<uint16_t> halves(65536), back(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  std::vector<float> floats(65536);
  HalfToFloat(halves, floats);
  FloatToHalf(floats, back);
  for (size_t i = 0; i < halves.size(); ++i) {
    const double value = ValueOfHalf(halves[i]);
    if (value != value) {
      const uint32_t bits = (halves[i] & 0x8000u) << 16 | 0x7FC00000u | (halves[i] & 0x3FFu) << 13;
      ASSERT_EQ(std::bit_cast<uint32_t>(floats[i]), bits);
      ASSERT_EQ(back[i], halves[i] | 0x200);
    } else {
      ASSERT_EQ(floats[i], value);
      ASSERT_EQ(std::signbit(floats[i]), std::signbit(value));
      ASSERT_EQ(back[i], halves[i]);
    }
  }
}

TEST_P(Kernel, FloatRoundsToTheNearestHalfTiesToEven) {
  std::vector<float> floats{0x1.ffdffep15f,  // the last float below half way from 65504 to 65536
                            0x1.ffep15f,     // half way: even is infinity
                            0x1p-25f,        // half of the smallest half: even is zero
                            0x1.000002p-25f, INFINITY, -INFINITY, -0.0f, 1e38f, -1e-38f, 0x1p-149f, NAN};
  const std::vector<uint16_t> known{0x7BFF, 0x7C00, 0x0000, 0x0001, 0x7C00, 0xFC00, 0x8000, 0x7C00, 0x8000, 0, 0x7E00};
  for (int i = 0; i < 200000; ++i) floats.push_back(std::bit_cast<float>(static_cast<uint32_t>(random_())));
  for (int i = 0; i < 200000; ++i) floats.push_back(static_cast<float>(std::ldexp(random_.Unit(), -14 - i % 12)));
  for (uint16_t half = 0; half < 0x7C00; ++half) {  // half way between neighbors
    floats.push_back(static_cast<float>((ValueOfHalf(half) + ValueOfHalf(half + 1)) / 2));
  }
  std::vector<uint16_t> halves(floats.size()), scalar(floats.size());
  FloatToHalf(floats, halves);
  {
    const ForceCpuLevelForTest force(CpuLevel::kScalar);
    FloatToHalf(floats, scalar);
  }
  for (size_t i = 0; i < known.size(); ++i) EXPECT_EQ(halves[i], known[i]) << floats[i];
  for (size_t i = 0; i < floats.size(); ++i) {
    ASSERT_EQ(halves[i], scalar[i]) << floats[i];
    const double value = std::abs(static_cast<double>(floats[i]));
    if (!(value < 65504)) continue;
    const uint16_t half = halves[i] & 0x7FFF;
    const double off = std::abs(ValueOfHalf(half) - value);
    const double above = std::abs(ValueOfHalf(half + 1) - value);
    const double below = half == 0 ? INFINITY : std::abs(ValueOfHalf(half - 1) - value);
    ASSERT_TRUE(off <= above && off <= below) << floats[i];
    if (off == above || off == below) {
      ASSERT_EQ(half % 2, 0) << floats[i];
    }
  }
}

TEST_P(Kernel, HalfTails) {
  for (size_t n = 0; n < 40; ++n) {
    std::vector<uint16_t> halves(n + 1, 0x3C00);
    std::vector<float> floats(n + 1, 7.0f);
    HalfToFloat(std::span(halves).first(n), std::span(floats).first(n));
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(floats[i], 1.0f);
    ASSERT_EQ(floats[n], 7.0f) << "wrote beyond the end";
    std::fill(halves.begin(), halves.end(), 0);
    FloatToHalf(std::span(floats).first(n), std::span(halves).first(n));
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(halves[i], 0x3C00);
    ASSERT_EQ(halves[n], 0) << "wrote beyond the end";
  }
}

TEST(TopK, KeepsTheSmallestWhateverTheOrder) {
  Random random(TestSeed());
  for (size_t k = 0; k < 20; ++k) {
    std::vector<uint64_t> keys(200);
    for (uint64_t& key : keys) key = random();
    TopK best(k);
    for (const uint64_t key : keys) best.Offer(key);
    std::sort(keys.begin(), keys.end());
    keys.resize(k);
    EXPECT_EQ(best.TakeSorted(), keys);
  }
}

TEST(TopK, HonorsItsBound) {
  TopK best(3, 10);
  for (const uint64_t key : {12u, 10u, 9u, 4u}) best.Offer(key);
  EXPECT_EQ(best.bound(), 10u);
  EXPECT_EQ(best.TakeSorted(), (std::vector<uint64_t>{4, 9}));
}

TEST(RankOfScore, OrdersAsScoresDoWithNanLast) {
  const std::vector<float> down{INFINITY, 1e30f, 1.0f, 0.5f, 1e-40f, 0.0f, -1e-40f, -0.5f, -1.0f, -INFINITY, NAN};
  for (size_t i = 1; i < down.size(); ++i) EXPECT_LT(RankOfScore(down[i - 1]), RankOfScore(down[i])) << down[i];
  EXPECT_EQ(RankOfScore(0.0f), RankOfScore(-0.0f));
}

TEST(CpuLevel, ForcingIsUndoneAndScalarIsAlwaysThere) {
  const CpuLevel before = ActiveCpuLevel();
  {
    const ForceCpuLevelForTest force(CpuLevel::kScalar);
    EXPECT_EQ(ActiveCpuLevel(), CpuLevel::kScalar);
  }
  EXPECT_EQ(ActiveCpuLevel(), before);
  EXPECT_EQ(AvailableCpuLevels().front(), CpuLevel::kScalar);
  EXPECT_EQ(CpuLevelName(CpuLevel::kAvx512), "avx512");
}

TEST_P(Kernel, RowsOfBytesWithinADistance) {
  for (const size_t dimension : {4, 8, 20, 128}) {
    for (const size_t count : {1, 15, 16, 17, 64, 100, 209}) {
      std::vector<uint8_t> bytes(dimension * count), query(dimension);
      // The largest values too: sums of products must not saturate.
      for (uint8_t& byte : bytes) byte = random_.Below(3) == 0 ? 255 : static_cast<uint8_t>(random_());
      for (uint8_t& byte : query) byte = random_.Below(3) == 0 ? 0 : static_cast<uint8_t>(random_());
      ByteRows rows(dimension);
      const size_t half = count / 2;  // two appends: the second begins a block
      rows.Append(std::span(bytes).first(half * dimension));
      const size_t second = rows.blocks() * kByteRowsBlock;
      rows.Append(std::span(bytes).subspan(half * dimension));
      std::vector<NearRow> all, found(rows.blocks() * kByteRowsBlock);
      for (size_t r = 0; r < count; ++r) {
        int32_t distance = 0;
        for (size_t i = 0; i < dimension; ++i) {
          const int32_t difference = int32_t{bytes[r * dimension + i]} - query[i];
          distance += difference * difference;
        }
        all.push_back({distance, static_cast<uint32_t>(r < half ? r : second + r - half)});
      }
      for (const int32_t bound : {0, all[count / 2].distance, std::numeric_limits<int32_t>::max()}) {
        std::vector<NearRow> expected;
        for (const NearRow& row : all) {
          if (row.distance < bound) expected.push_back(row);
        }
        const size_t n = RowsWithin(rows, 0, rows.blocks(), query, bound, found.data());
        ASSERT_EQ(n, expected.size()) << dimension << " " << count;
        for (size_t i = 0; i < n; ++i) {
          ASSERT_EQ(found[i].row, expected[i].row);
          ASSERT_EQ(found[i].distance, expected[i].distance);
        }
      }
    }
  }
}

}  // namespace
}  // namespace likeness
