// Clustering trees beside a plain sort.
#include "index/cluster_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/random.h"
#include "index/segment_test_data.h"

namespace likeness {
namespace {

std::vector<uint64_t> RowsNearCenters(Random& random, size_t rows, size_t words, size_t centers) {
  std::vector<uint64_t> center(centers * words), codes;
  for (uint64_t& word : center) word = random();
  for (size_t row = 0; row < rows; ++row) {
    const size_t from = random.Below(centers);
    for (size_t w = 0; w < words; ++w) codes.push_back(center[from * words + w] ^ (random() & random() & random()));
  }
  return codes;
}

std::vector<uint64_t> Scan(CodeRows codes, std::span<const uint64_t> query, size_t k,
                           std::span<const uint64_t> allowed) {
  TopK best(k);
  HammingNearest(codes, query, {.allowed = allowed}, best);
  return best.TakeSorted();
}

TEST(ClusterTrees, SearchedWholeAreTheScan) {
  SCOPED_TRACE("LIKENESS_TEST_SEED=" + std::to_string(TestSeed()));
  Random random(TestSeed() + 20);
  for (const size_t rows : {0, 1, 99, 101, 2000}) {
    const std::vector<uint64_t> codes = RowsNearCenters(random, rows, 3, 20);
    const ClusterTrees trees({codes, 3}, {}, {.branching = 8, .leaf = 20, .threads = 2});
    std::vector<uint64_t> allowed((rows + 63) / 64 + 1);
    for (uint64_t& word : allowed) word = random();
    for (int round = 0; round < 10; ++round) {
      const std::vector<uint64_t> query = {random(), random(), random()};
      const std::span<const uint64_t> filter = round % 2 == 0 ? std::span<const uint64_t>() : allowed;
      TopK best(15);
      trees.Search(query, rows + 1, filter, best);
      EXPECT_EQ(best.TakeSorted(), Scan({codes, 3}, query, 15, filter)) << rows;
    }
  }
}

TEST(ClusterTrees, FindMostWithFewChecksTheSameForAnyNumberOfThreads) {
  Random random(TestSeed() + 21);
  const std::vector<uint64_t> codes = RowsNearCenters(random, 6000, 4, 60);
  const CodeRows rows{codes, 4};
  const ClusterTrees one(rows, {}, {.threads = 1}), several(rows, {}, {.threads = 4});
  size_t found = 0;
  uint64_t compared = 0;
  for (size_t q = 0; q < 100; ++q) {
    std::vector<uint64_t> query(codes.begin() + static_cast<ptrdiff_t>(240 * q),
                                codes.begin() + static_cast<ptrdiff_t>(240 * q + 4));
    query[2] ^= random() & random();
    TopK a(10), b(10);
    compared += one.Search(query, 600, {}, a);
    several.Search(query, 600, {}, b);
    const auto x = a.TakeSorted();
    EXPECT_EQ(b.TakeSorted(), x);
    const uint32_t last = RankOf(Scan(rows, query, 10, {}).back());
    for (const uint64_t key : x) found += RankOf(key) <= last ? 1 : 0;
  }
  EXPECT_GE(found, 850u) << "of 1000";
  EXPECT_LT(compared, 100u * 3000);
}

TEST(ClusterTrees, OfEqualCodesEnd) {
  const std::vector<uint64_t> codes(5000 * 2, 7);
  const ClusterTrees trees({codes, 2}, {}, {});
  TopK best(10);
  trees.Search(std::vector<uint64_t>{7, 7}, 10, {}, best);
  EXPECT_EQ(best.size(), 10u);
}

}  // namespace
}  // namespace likeness
