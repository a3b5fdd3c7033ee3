// What the catalog promises: nothing is recorded by half, the same bytes are one image, and filters find what they say.
#include "catalog/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "catalog/words.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const Epoch kDay = *Epoch::Parse("2026-11-22");

Signature Of(std::string_view text) { return Signature::Of(AsBytes(text)); }

Addition File(const std::string& path, std::string_view content, const std::string& board = "b",
              const std::string& description = "") {
  const Signature signature = Of(content);
  Addition addition;
  addition.source = {path, content.size(), 1, signature, ""};
  addition.image = ImageRecord{signature, "jpeg", content.size(), 4, 3, kDay, std::nullopt, "file:" + path, ""};
  addition.pin = Pin{path, signature, board, "Board " + board, "", description, "", ""};
  return addition;
}

class CatalogTest : public testing::Test {
 protected:
  void SetUp() override { catalog_ = *Catalog::Open(folder_ / "catalog.sqlite"); }

  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  std::unique_ptr<Catalog> catalog_;
};

TEST_F(CatalogTest, TheSameBytesTwiceAreOneImageWithTwoPins) {
  const Addition additions[] = {File("a.jpg", "one"), File("copy.jpg", "one"), File("b.jpg", "two")};
  ASSERT_TRUE(catalog_->Record(additions).ok());
  const CatalogCounts counts = *catalog_->Counts();
  EXPECT_EQ(counts.images, 2u);
  EXPECT_EQ(counts.pins, 3u);
  EXPECT_THAT(*catalog_->Pins(std::vector{Of("one")}), SizeIs(2));
  EXPECT_EQ((*catalog_->Image(Of("one")))->location, "file:a.jpg");
  EXPECT_FALSE(*catalog_->Image(Of("three")));
  const std::vector<Signature> asked = {Of("two"), Of("three"), Of("one")};
  EXPECT_THAT(*catalog_->Images(asked), ElementsAre(testing::Field(&ImageRecord::signature, Of("two")),
                                                    testing::Field(&ImageRecord::signature, Of("one"))));
  EXPECT_THAT(*catalog_->Pins(asked), SizeIs(3));
}

TEST_F(CatalogTest, RemembersWhatItLookedAt) {
  const Addition additions[] = {File("a.jpg", "one")};
  ASSERT_TRUE(catalog_->Record(additions).ok());
  const auto sources = *catalog_->Sources(std::vector<std::string>{"a.jpg", "unknown.jpg"});
  ASSERT_TRUE(sources[0]);
  EXPECT_EQ(sources[0]->signature, Of("one"));
  EXPECT_FALSE(sources[1]);
  const auto digests = *catalog_->PinDigests(std::vector<std::string>{"unknown", "a.jpg"});
  EXPECT_FALSE(digests[0]);
  EXPECT_EQ(digests[1], PinDigest(*additions[0].pin));
}

TEST_F(CatalogTest, AFileWithNewBytesLeavesTheOldImageUnpinned) {
  ASSERT_TRUE(catalog_->Record(std::vector{File("a.jpg", "one")}).ok());
  EXPECT_THAT(*catalog_->Unpinned(), IsEmpty());
  ASSERT_TRUE(catalog_->Record(std::vector{File("a.jpg", "two")}).ok());
  EXPECT_THAT(*catalog_->Unpinned(), ElementsAre(Of("one")));
  ASSERT_TRUE(catalog_->Record(std::vector{File("back.jpg", "one")}).ok());
  EXPECT_THAT(*catalog_->Unpinned(), IsEmpty());
  EXPECT_THAT(*catalog_->Paths(Of("one")), ElementsAre("back.jpg")) << "its old file holds other bytes now";
}

TEST_F(CatalogTest, FilterTakesWordBeginningsBoardAndBoth) {
  ASSERT_TRUE(catalog_
                  ->Record(std::vector{File("a", "one", "x", "Red summer dress, size 8"),
                                       File("b", "two", "y", "RED shoes"), File("c", "three", "y", "blue Überzieher")})
                  .ok());
  const auto match = [&](const std::string& board, const std::string& text) { return *catalog_->Match({board, text}); };
  EXPECT_THAT(match("", "red"), testing::UnorderedElementsAre(Of("one"), Of("two")));
  EXPECT_THAT(match("y", "red"), ElementsAre(Of("two")));
  EXPECT_THAT(match("", "dres red"), ElementsAre(Of("one")));
  EXPECT_THAT(match("", "ÜBER"), ElementsAre(Of("three")));
  EXPECT_THAT(match("y", ""), SizeIs(2));
  EXPECT_THAT(match("", "ress"), IsEmpty()) << "not the beginning of a word";
  EXPECT_THAT(match("", "%"), IsEmpty());
  EXPECT_THAT(match("", "' OR 1=1 --"), IsEmpty());
}

TEST_F(CatalogTest, QuarantineListsSourcesWithReasons) {
  Addition refused;
  refused.source = {"empty.jpg", 0, 1, std::nullopt, "the file is empty"};
  ASSERT_TRUE(catalog_->Record(std::vector{File("a.jpg", "one"), refused}).ok());
  ASSERT_TRUE(catalog_->QuarantineImage(Of("one"), "cut off").ok());
  const auto quarantine = *catalog_->Quarantine(100);
  ASSERT_THAT(quarantine, SizeIs(2));
  EXPECT_EQ(quarantine[0].source, "a.jpg");
  EXPECT_EQ(quarantine[0].reason, "cut off");
  EXPECT_EQ(quarantine[1].source, "empty.jpg");
  const CatalogCounts counts = *catalog_->Counts();
  EXPECT_EQ(counts.images, 0u);
  EXPECT_EQ(counts.quarantined, 2u);
}

TEST_F(CatalogTest, ARefusedPictureMayBeLookedAtAgain) {
  Addition refused = File("a.jpg", "one");
  refused.image->reason = "too large";
  ASSERT_TRUE(catalog_->Record(std::vector{refused}).ok());
  EXPECT_EQ(catalog_->Counts()->images, 0u);
  ASSERT_TRUE(catalog_->Record(std::vector{File("a.jpg", "one")}).ok());
  EXPECT_EQ(catalog_->Counts()->images, 1u);
  EXPECT_EQ((*catalog_->Image(Of("one")))->reason, "");
}

TEST_F(CatalogTest, ShardsAreMadeOnceAndWhole) {
  ASSERT_TRUE(catalog_->Record(std::vector{File("a", "one"), File("b", "two")}).ok());
  std::vector<Signature> signatures;
  const auto unsharded = *catalog_->Unsharded();
  for (const auto& [epoch, signature] : unsharded) signatures.push_back(signature);
  ASSERT_THAT(signatures, SizeIs(2));
  ASSERT_EQ(catalog_->AddShard({kDay, 0}, signatures), absl::OkStatus());
  EXPECT_EQ(catalog_->AddShard({kDay, 0}, {}).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(catalog_->AddShard({kDay, 1}, signatures).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(*catalog_->Unsharded(), IsEmpty());
  EXPECT_THAT(*catalog_->Shards(), SizeIs(1)) << "a refused shard leaves no trace";
  EXPECT_THAT(*catalog_->ShardImages({kDay, 0}), SizeIs(2));
}

TEST_F(CatalogTest, TwoProcessesMayHaveItOpen) {
  const auto other = *Catalog::Open(folder_ / "catalog.sqlite");
  ASSERT_TRUE(other->Record(std::vector{File("a.jpg", "one")}).ok());
  EXPECT_EQ(catalog_->Counts()->images, 1u);
}

TEST_F(CatalogTest, AFileThatIsNoDatabaseIsRefused) {
  std::filesystem::create_directories(folder_);
  const auto path = folder_ / "other.sqlite";
  ASSERT_EQ(std::system(("head -c 10000 /dev/zero | tr '\\0' 'x' > " + path.string()).c_str()), 0);
  EXPECT_EQ(Catalog::Open(path).status().code(), absl::StatusCode::kDataLoss);
}

TEST(Words, AreLowerCaseDistinctAndSurviveBadUtf8) {
  EXPECT_THAT(WordsOf("Red, RED-shoes 8½"), ElementsAre("8", "red", "shoes"));
  EXPECT_THAT(WordsOf("a\xff\xfe"
                      "b \xe2\x82"),
              ElementsAre("a", "b"));
  EXPECT_THAT(WordsOf(std::string(1000, 'x')), ElementsAre(std::string(64, 'x')));
  EXPECT_THAT(WordsOf(""), IsEmpty());
}

}  // namespace
}  // namespace likeness
