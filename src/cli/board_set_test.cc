// What the boards of a home say about its pictures, as `likeness train floor` is told it.
#include "cli/board_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/tiny_home.h"

namespace likeness {
namespace {

using testing::HasSubstr;

class BoardSetTest : public TinyHomeTest {
 protected:
  // Picture i is pinned to boards[i], and to each of `twice` besides.
  void Ingest(const std::vector<std::string>& boards, const std::vector<BoardPin>& twice = {}) {
    std::vector<BoardPin> pins;
    for (const std::string& board : boards) pins.push_back({static_cast<int>(pins.size()), board});
    pins.insert(pins.end(), twice.begin(), twice.end());
    TinyHomeTest::Ingest(pins);
  }
};

TEST_F(BoardSetTest, ALabelIsABoardAndVectorsAreThoseOfTheRelease) {
  Ingest({"a", "b", "a", "b", "a", "b", "a", "b", "few", "few"}, {{0, "b"}});
  const FloorSet set = *SetOfBoards(*home_, {});
  ASSERT_EQ(set.signatures.size(), 8u);  // "few" has too few to say anything
  EXPECT_TRUE(std::ranges::is_sorted(set.signatures));
  ASSERT_EQ(set.values.size(), 8 * set.dimension);
  for (size_t i = 0; i < set.signatures.size(); ++i) {
    double length = 0;
    for (size_t c = 0; c < set.dimension; ++c) length += std::pow(set.values[i * set.dimension + c], 2);
    EXPECT_NEAR(length, 1, 1e-4);
  }
  const auto label_of = [&](int i) {
    return set.labels[static_cast<size_t>(std::ranges::find(set.signatures, SignatureOf(i)) - set.signatures.begin())];
  };
  for (int i = 0; i < 8; ++i) EXPECT_EQ(label_of(i), label_of(i % 2)) << i;
  EXPECT_NE(label_of(0), label_of(1));  // the picture on both counts for the first
}

TEST_F(BoardSetTest, ALargeBoardDoesNotDrownTheOthers) {
  Ingest({"a", "a", "a", "a", "a", "a", "a", "a", "a", "b", "b", "b", "b"});
  const FloorSet set = *SetOfBoards(*home_, {.most = 5});
  EXPECT_EQ(std::ranges::count(set.labels, 0u), 5);
  EXPECT_EQ(std::ranges::count(set.labels, 1u), 4);
  EXPECT_EQ(SetOfBoards(*home_, {.most = 5})->signatures, set.signatures);
}

TEST_F(BoardSetTest, WithoutBoardsItSaysWhatElseToGive) {
  EXPECT_THAT(SetOfBoards(*home_, {}).status().message(), HasSubstr("likeness index"));
  Ingest({"a", "a", "a", "a", "b"});
  EXPECT_THAT(SetOfBoards(*home_, {}).status().message(), HasSubstr("--set"));
}

}  // namespace
}  // namespace likeness
