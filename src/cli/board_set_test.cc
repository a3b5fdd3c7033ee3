// What the boards of a home say about its pictures, as `likeness train floor` is told it.
#include "cli/board_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/file.h"
#include "pipeline/add.h"
#include "pipeline/fingerprint.h"
#include "support/odd_files.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

using testing::HasSubstr;

class BoardSetTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string toml = "threads = 2\n[deep]\nmodels = [\"tiny\"]\ncode_bits = 64\n";
    ASSERT_TRUE(WriteFileAtomic(folder_ / "home" / "likeness.toml", AsBytes(toml)).ok());
    ASSERT_TRUE(InstallTinyModel(folder_ / "home" / "models", "tiny").ok());
    home_ = *Home::Open(folder_ / "home", true);
  }

  static std::string Picture(int i) { return MakeJpeg(i, 60, 40); }
  static Signature SignatureOf(int i) { return Signature::Of(AsBytes(Picture(i))); }

  // Picture i is pinned to boards[i], and to each of `twice` besides.
  void Ingest(const std::vector<std::string>& boards, const std::vector<std::pair<int, std::string>>& twice = {}) {
    std::string lines;
    auto pin = [&, n = 0](int i, const std::string& board) mutable {
      lines += "{\"pin\":" + std::to_string(n++) + ",\"image\":\"p" + std::to_string(i) + ".jpg\",\"board\":\"" +
               board + "\"}\n";
    };
    for (int i = 0; i < static_cast<int>(boards.size()); ++i) {
      ASSERT_TRUE(WriteFileAtomic(folder_ / "pictures" / ("p" + std::to_string(i) + ".jpg"), AsBytes(Picture(i))).ok());
      pin(i, boards[static_cast<size_t>(i)]);
    }
    for (const auto& [i, board] : twice) pin(i, board);
    std::istringstream stream(lines);
    ASSERT_TRUE(AddLines(*home_, stream, folder_ / "pictures", {}, {}).ok());
    const auto run = RunFingerprint(*home_, *CurrentExtractors(*home_), {});
    ASSERT_TRUE(run.ok()) << run.status();
    ASSERT_TRUE(BuildIndex(*home_, *BuildFeatures(*home_, run->features), {}).ok());
  }

  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  std::unique_ptr<Home> home_;
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
