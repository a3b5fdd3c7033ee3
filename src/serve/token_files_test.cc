// Releases with an index of visual words: made once, found by a part of a picture, and left out where it is not wanted.
#include "pipeline/token_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/bytes.h"
#include "base/file.h"
#include "feature/local.h"
#include "image/encode.h"
#include "index/token_index.h"
#include "pipeline/add.h"
#include "pipeline/fingerprint.h"
#include "pipeline/garbage.h"
#include "pipeline/materialise.h"
#include "pipeline/open_snapshot.h"
#include "rank/token_search.h"
#include "store/object_keys.h"
#include "support/disk_pictures.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

class TokenFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(home_path_);
    Configure("");
    for (uint64_t i = 0; i < 12; ++i) {
      const std::string jpeg = *EncodeJpeg(Disks(i), 90);
      signatures_.push_back(Signature::Of(AsBytes(jpeg)));
      ASSERT_TRUE(WriteFileAtomic(pictures_ / (std::to_string(i) + ".jpg"), AsBytes(jpeg)).ok());
    }
  }

  void Configure(const std::string& sections) {
    const std::string toml =
        "threads = 2\n[features]\ntypes = [\"local\"]\n[fingerprint]\nshard_images = 8\n" + sections;
    ASSERT_TRUE(WriteFileAtomic(home_path_ / "likeness.toml", AsBytes(toml)).ok());
    home_ = *Home::Open(home_path_, true);
  }
  void Fingerprint() {
    ASSERT_TRUE(AddFolder(*home_, pictures_, {.threads = 2}, {}).ok());
    ASSERT_TRUE(RunFingerprint(*home_, *CurrentExtractors(*home_), {}).ok());
  }
  IndexReport Index() { return **BuildIndex(*home_, *BuildFeatures(*home_, *CurrentFeatures(*home_)), {}); }

  const ScratchFolder scratch_;
  const std::filesystem::path home_path_ = scratch_.path() / "home", pictures_ = scratch_.path() / "pictures";
  std::unique_ptr<Home> home_;
  std::vector<Signature> signatures_;  // of the pictures
};

TEST_F(TokenFilesTest, APartOfAPictureFindsIt) {
  Fingerprint();
  const IndexReport report = Index();
  EXPECT_EQ(report.token_files, 2u);
  const auto snapshot = *OpenSnapshot(*home_, report.release);
  const LocalRows rows(*home_, report.release);
  const auto vocabulary = *Vocabulary::Open(*FindVocabulary(home_->path()));
  for (const uint64_t picture : {2u, 9u}) {
    const std::vector<LocalFeature> asked = AssignWords(*ExtractLocal(Middle(Disks(picture))), *vocabulary);
    Snapshot::Place found;
    TokenHit best;
    TokenStats stats;
    for (size_t segment = 0; segment < snapshot->segments().size(); ++segment) {
      ASSERT_NE(snapshot->tokens(segment), nullptr);
      EXPECT_EQ(snapshot->tokens(segment)->Verify(), absl::OkStatus());
      const auto hits = SearchTokens(*snapshot->tokens(segment), {.features = asked, .k = 3}, stats);
      ASSERT_TRUE(hits.ok()) << hits.status();
      for (const TokenHit& hit : *hits) {
        if (hit.score <= best.score) continue;
        best = hit;
        found = {segment, hit.doc};
      }
    }
    EXPECT_EQ(snapshot->signature(found), signatures_[picture]);
    EXPECT_GT(best.matches.size(), 20u);
    // What verification sees has every one of the pairs' keypoints, more exactly.
    const auto kept = UnpackLocals(*rows.Get(*snapshot, found));
    ASSERT_TRUE(kept.ok());
    for (const TokenMatch& match : best.matches) {
      EXPECT_TRUE(std::ranges::any_of(*kept, [&](const LocalFeature& feature) {
        return feature.word == match.document.word && feature.signature == match.document.signature &&
               std::abs(feature.x - match.document.x) < 0.5 && std::abs(feature.y - match.document.y) < 0.5;
      }));
    }
  }
}

TEST_F(TokenFilesTest, WhatIsThereIsNotMadeAgainAndWhatIsMissingIs) {
  Fingerprint();
  const Release release = Index().release;
  EXPECT_EQ(Index().token_files, 0u);
  const std::string key = TokensKey(GenerationOf(release.features), release.shards[0].id);
  const std::string before(AsText(home_->objects().Get(key)->bytes()));
  EXPECT_EQ(*CountTokenFiles(*home_, release), 2u);
  ASSERT_TRUE(home_->objects().Delete(key).ok());
  EXPECT_EQ(*CountTokenFiles(*home_, release), 1u);
  const auto without = OpenSnapshot(*home_, release);
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_EQ((*without)->tokens(0), nullptr) << "an older release has none";
  EXPECT_NE((*without)->tokens(1), nullptr);
  EXPECT_EQ(Index().token_files, 1u);
  EXPECT_TRUE(before == AsText(home_->objects().Get(key)->bytes())) << "the same bytes";
}

TEST_F(TokenFilesTest, TheyCanBeLeftOut) {
  Configure("[tokens]\nbuild = false\n");
  Fingerprint();
  const IndexReport report = Index();
  EXPECT_EQ(report.token_files, 0u);
  EXPECT_EQ((*OpenSnapshot(*home_, report.release))->tokens(0), nullptr);
}

TEST_F(TokenFilesTest, ADamagedFileIsNamed) {
  Fingerprint();
  const Release release = Index().release;
  const std::string key = TokensKey(GenerationOf(release.features), release.shards[1].id);
  std::string bytes(AsText(home_->objects().Get(key)->bytes()));
  bytes.resize(bytes.size() - 1);
  ASSERT_TRUE(home_->objects().Put(key, AsBytes(bytes)).ok());
  const auto snapshot = OpenSnapshot(*home_, release);
  EXPECT_TRUE(absl::IsDataLoss(snapshot.status()));
  EXPECT_THAT(MessageOf(snapshot.status()), testing::HasSubstr(key));
}

TEST_F(TokenFilesTest, TheyGoWithTheirGeneration) {
  Fingerprint();
  Index();
  EXPECT_TRUE(FindGarbage(*home_, {})->objects.empty());
  const std::string stray = TokensKey("gffffffffffff", *ShardId::Parse("2026-11-22/00000"));
  ASSERT_TRUE(home_->objects().Put(stray, AsBytes("x")).ok());
  const Garbage garbage = *FindGarbage(*home_, {});
  ASSERT_EQ(garbage.objects.size(), 1u);
  EXPECT_EQ(garbage.objects[0].key, stray);
}

}  // namespace
}  // namespace likeness
