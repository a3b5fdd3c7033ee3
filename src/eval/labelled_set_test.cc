#include "eval/labelled_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/file.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class LabelledSetTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("labelled_set_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void Write(const std::string& name, std::string_view content) {
    ASSERT_TRUE(WriteFileAtomic(folder_ / name, AsBytes(content)).ok());
  }
  // CLASS/FILE of each picture in the set, by path.
  std::vector<std::string> Names(const LabelledSet& set) {
    std::vector<std::string> names;
    for (const LabelledPicture& picture : set.pictures) {
      names.push_back(set.labels[picture.label] + ":" + picture.path.lexically_relative(folder_).string());
    }
    std::ranges::sort(names);
    return names;
  }

  fs::path folder_;
};

TEST_F(LabelledSetTest, TakesEachFolderForAClass) {
  Write("hat/1.jpg", "one");
  Write("hat/more/2.jpg", "two");
  Write("shoe/3.jpg", "three");
  Write("loose.jpg", "passed over");
  Write("shoe/.hidden", "passed over");
  Write(".git/4.jpg", "passed over");
  const auto set = ReadLabelledFolder(folder_);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(set->labels, ElementsAre("hat", "shoe"));
  EXPECT_THAT(Names(*set), ElementsAre("hat:hat/1.jpg", "hat:hat/more/2.jpg", "shoe:shoe/3.jpg"));
  for (size_t i = 1; i < set->pictures.size(); ++i) {
    EXPECT_LT(set->pictures[i - 1].signature, set->pictures[i].signature);
  }
}

TEST_F(LabelledSetTest, KeepsRepeatedBytesOnce) {
  Write("a/1.jpg", "same");
  Write("b/2.jpg", "same");
  Write("b/3.jpg", "other");
  const auto set = ReadLabelledFolder(folder_);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(Names(*set), ElementsAre("a:a/1.jpg", "b:b/3.jpg"));
  EXPECT_EQ(set->duplicates, 1u);
}

TEST_F(LabelledSetTest, SaysWhenThereIsNothingToCompare) {
  EXPECT_EQ(ReadLabelledFolder(folder_ / "none").status().code(), absl::StatusCode::kNotFound);
  Write("a/1.jpg", "one");
  EXPECT_EQ(ReadLabelledFolder(folder_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LabelledSetTest, ReadsLabelsFromLines) {
  Write("images/1.jpg", "one");
  Write("2.jpg", "two");
  Write("3.jpg", "three");
  Write("set.jsonl",
        "{\"image\": \"1.jpg\", \"type\": \"hat\"}\n\n"
        "{\"image\": \"2.jpg\", \"type\": 7}\n"
        "{\"image\": \"3.jpg\", \"type\": null}\n"
        "{\"image\": \"3.jpg\", \"type\": \"\"}\n"
        "{\"image\": \"4.jpg\", \"type\": \"hat\"}");
  const auto set = ReadLabelledLines(folder_ / "set.jsonl", "type");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_THAT(Names(*set), ElementsAre("7:2.jpg", "hat:images/1.jpg"));
  EXPECT_EQ(set->unlabelled, 2u);
  ASSERT_EQ(set->problems.size(), 1u);
  EXPECT_THAT(set->problems[0].source, HasSubstr("4.jpg"));
}

TEST_F(LabelledSetTest, NamesTheLineThatIsWrong) {
  Write("1.jpg", "one");
  Write("set.jsonl", "{\"image\": \"1.jpg\", \"type\": \"hat\"}\nnonsense\n");
  auto set = ReadLabelledLines(folder_ / "set.jsonl", "type");
  EXPECT_EQ(set.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(set.status()), HasSubstr("set.jsonl:2"));
  Write("set.jsonl", "{\"image\": 3, \"type\": \"hat\"}\n");
  EXPECT_THAT(MessageOf(ReadLabelledLines(folder_ / "set.jsonl", "type").status()), HasSubstr("`image`"));
  Write("set.jsonl", "{\"image\": \"1.jpg\", \"type\": [1]}\n");
  EXPECT_THAT(MessageOf(ReadLabelledLines(folder_ / "set.jsonl", "type").status()), HasSubstr("`type`"));
  Write("set.jsonl", "{\"image\": \"1.jpg\", \"type\": \"hat\"}\n");
  EXPECT_THAT(MessageOf(ReadLabelledLines(folder_ / "set.jsonl", "kind").status()), HasSubstr("`kind`"));
}

TEST_F(LabelledSetTest, DropsWhatIsFlagged) {
  Write("a/1.jpg", "one");
  Write("a/2.jpg", "two");
  Write("a/3.jpg", "three");
  auto set = ReadLabelledFolder(folder_);
  ASSERT_TRUE(set.ok()) << set.status();
  const Signature last = set->pictures[2].signature;
  set->Drop({true, true, false});
  ASSERT_EQ(set->pictures.size(), 1u);
  EXPECT_EQ(set->pictures[0].signature, last);
}

}  // namespace
}  // namespace likeness
