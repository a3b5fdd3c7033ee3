// Releases: a created one does not serve, a switch and its return are one put each, and removal takes nothing that
// anybody needs. The cost of a collection comes from what was measured.
#include "pipeline/releases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "pipeline/add.h"
#include "pipeline/collection_status.h"
#include "pipeline/cost.h"
#include "pipeline/fingerprint.h"
#include "pipeline/garbage.h"
#include "pipeline/open_snapshot.h"
#include "pipeline/parts.h"
#include "store/object_keys.h"
#include "support/fixed_clock.h"
#include "support/odd_files.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ReleasesTest : public testing::Test {
 protected:
  void SetUp() override {
    Configure("tiny");
    ASSERT_TRUE(InstallTinyModel(home_path_ / "models", "tiny").ok());
    ASSERT_TRUE(InstallTinyModel(home_path_ / "models", "other", {.seed = 2}).ok());
    home_ = *Home::Open(home_path_, true);
  }
  void Configure(const std::string& model) {
    const std::string toml = "threads = 2\n[deep]\nmodels = [\"" + model +
                             "\"]\ncode_bits = 64\n[features]\ntypes = [\"deep\", \"color\"]\n";
    ASSERT_TRUE(WriteFileAtomic(home_path_ / "likeness.toml", AsBytes(toml)).ok());
  }
  void Add(int begin, int end, const char* day) {
    for (int i = begin; i < end; ++i) {
      const auto path = folder_ / "pictures" / ("p" + std::to_string(i) + ".jpg");
      ASSERT_TRUE(WriteFileAtomic(path, AsBytes(MakeJpeg(i, 40, 30))).ok());
    }
    ASSERT_TRUE(AddFolder(*home_, folder_ / "pictures", {.threads = 2}, {}, FixedClock(day)).ok());
    ASSERT_TRUE(RunFingerprint(*home_, *CurrentExtractors(*home_), {}).ok());
  }
  std::string Create(const char* day) {
    return (*CreateRelease(*home_, *BuildFeatures(*home_, *CurrentFeatures(*home_)), {}, FixedClock(day)))
        ->release.name;
  }
  std::string Current() { return (*ReadCurrent(home_->objects()))->name; }
  Garbage Remove(const KeepRules& rules, const char* day) {
    const Garbage garbage = *FindGarbage(*home_, rules, FixedClock(day));
    return *RemoveGarbage(*home_, rules, garbage, {}, FixedClock(day));
  }
  // Every release that is listed can be opened.
  void ExpectWhole() {
    const auto entries = ListReleases(*home_);
    for (const ReleaseEntry& entry : *entries) {
      const auto snapshot = OpenSnapshot(*home_, entry.release);
      ASSERT_TRUE(snapshot.ok()) << snapshot.status();
      EXPECT_EQ((*snapshot)->doc_count(), entry.release.images());
    }
  }

  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  const std::filesystem::path home_path_ = folder_ / "home";
  std::unique_ptr<Home> home_;
};

TEST_F(ReleasesTest, ACreatedReleaseServesWhenItIsSwitchedToAndARollbackReturns) {
  EXPECT_THAT(*ListReleases(*home_), IsEmpty());
  EXPECT_EQ(RollBack(*home_).status().code(), absl::StatusCode::kFailedPrecondition);
  Add(0, 4, "2026-11-01");
  const std::string first = Create("2026-11-01");
  EXPECT_FALSE(ReadCurrent(home_->objects())->has_value());
  EXPECT_TRUE(*SwitchRelease(*home_, first));
  EXPECT_FALSE(*SwitchRelease(*home_, first));
  Add(4, 6, "2026-11-02");
  const std::string second = Create("2026-11-02");
  EXPECT_EQ(Create("2026-11-03"), second) << "the same content is the same release";
  EXPECT_EQ(Current(), first);
  EXPECT_TRUE(*SwitchRelease(*home_, second));
  EXPECT_EQ(*RollBack(*home_), first);
  EXPECT_EQ(Current(), first);
  EXPECT_EQ(*RollBack(*home_), second);
  const auto entries = *ListReleases(*home_);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].release.name, second) << "newest first";
  EXPECT_TRUE(entries[0].current);
  EXPECT_TRUE(entries[1].previous);
  EXPECT_EQ(SwitchRelease(*home_, "r-none").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ReleasesTest, ASwitchToAReleaseThatLostAFileIsRefused) {
  Add(0, 4, "2026-11-01");
  const std::string name = Create("2026-11-01");
  const Release release = *ReadRelease(home_->objects(), name);
  const std::string segment = SegmentKey(GenerationOf(release.features), release.shards[0].id);
  ASSERT_TRUE(home_->objects().Delete(segment).ok());
  const auto refused = SwitchRelease(*home_, name);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(refused.status()), HasSubstr(segment));
  EXPECT_EQ(Create("2026-11-02"), name);
  EXPECT_TRUE(*SwitchRelease(*home_, name));
}

TEST_F(ReleasesTest, RemovalTakesOnlyWhatNobodyNames) {
  Add(0, 4, "2026-11-01");
  const std::string first = Create("2026-11-01");
  ASSERT_TRUE(*SwitchRelease(*home_, first));
  Add(4, 6, "2026-11-02");
  const std::string second = Create("2026-11-02");
  ASSERT_TRUE(*SwitchRelease(*home_, second));
  const FeatureKey old = CurrentFeatures(*home_)->front();

  Configure("other");
  home_ = *Home::Open(home_path_, false);
  Add(6, 8, "2026-11-03");
  EXPECT_TRUE(FindGarbage(*home_, {}, FixedClock("2026-11-04"))->empty());
  const std::string third = Create("2026-11-03");
  ASSERT_TRUE(*SwitchRelease(*home_, third));
  EXPECT_THAT(Remove({.days = 1}, "2026-11-10").releases, ElementsAre(first));
  ExpectWhole();
  EXPECT_FALSE(ListAll(home_->objects(), FeaturePrefix(old))->empty()) << "the previous release names them";
  EXPECT_THAT((*ReadCurrent(home_->objects()))->removing, IsEmpty());

  Add(8, 9, "2026-11-11");
  const std::string fourth = Create("2026-11-11");
  ASSERT_TRUE(*SwitchRelease(*home_, fourth));
  EXPECT_THAT(Remove({.days = 30}, "2026-11-12").releases, IsEmpty());
  EXPECT_THAT(Remove({.days = 0, .newest = 3}, "2026-11-12").releases, IsEmpty());
  const Garbage gone = Remove({.days = 0}, "2026-11-12");
  EXPECT_THAT(gone.releases, ElementsAre(second));
  EXPECT_THAT(gone.kept, ElementsAre(fourth, third));
  EXPECT_GT(gone.bytes, 0u);
  EXPECT_THAT(*ListAll(home_->objects(), FeaturePrefix(old)), IsEmpty());
  ExpectWhole();
  EXPECT_EQ(*RollBack(*home_), third);
  EXPECT_TRUE(FindGarbage(*home_, {.days = 0}, FixedClock("2026-11-12"))->empty()) << "nothing is left over";
  EXPECT_EQ(RunFingerprint(*home_, *CurrentExtractors(*home_), {})->work.computed, 0u);
}

TEST_F(ReleasesTest, WhatIsBeingBuiltStays) {
  Add(0, 4, "2026-11-01");
  ASSERT_TRUE(*SwitchRelease(*home_, Create("2026-11-01")));
  Configure("other");
  home_ = *Home::Open(home_path_, false);
  Add(4, 6, "2026-11-02");  // computed, but no release yet
  const auto features = *BuildFeatures(*home_, *CurrentFeatures(*home_));
  ASSERT_TRUE(MaterialiseFingerprints(*home_, features, {}).ok());
  EXPECT_TRUE(Remove({.days = 0}, "2026-11-12").empty());
  EXPECT_EQ(MaterialiseFingerprints(*home_, features, {})->shards, 0u);
  EXPECT_EQ(RunFingerprint(*home_, *CurrentExtractors(*home_), {})->work.computed, 0u);
}

TEST_F(ReleasesTest, LatePartsAndThumbnailsOfGoneImagesGo) {
  Add(0, 4, "2026-11-01");
  const ShardId shard = home_->catalog().Shards()->front().id;
  const std::string part = FeaturePartKey(CurrentFeatures(*home_)->front(), shard, 0);
  ASSERT_TRUE(home_->objects().Put(part, AsBytes("late")).ok());
  const auto thumbnail = [&](const std::string& bytes) {
    const std::string hex = Signature::Of(AsBytes(bytes)).Hex();
    const auto path = home_path_ / "thumbnails" / hex.substr(0, 2) / (hex + "_256.jpg");
    EXPECT_TRUE(WriteFileAtomic(path, AsBytes("x")).ok());
    return path;
  };
  const auto stays = thumbnail(MakeJpeg(0, 40, 30)), goes = thumbnail("nobody");
  const Garbage gone = Remove({}, "2026-11-02");
  ASSERT_EQ(gone.objects.size(), 1u);
  EXPECT_EQ(gone.objects[0].key, part);
  EXPECT_TRUE(std::filesystem::exists(stays));
  EXPECT_FALSE(std::filesystem::exists(goes));
}

TEST_F(ReleasesTest, StatusShowsPartsAndWhoWorks) {
  Add(0, 4, "2026-11-01");
  WorkerBeat beat;
  beat.name = "here.1.0";
  ASSERT_TRUE(home_->catalog().Heartbeat(beat).ok());
  const CollectionStatus status = *ReadCollectionStatus(*home_);
  ASSERT_EQ(status.cells.size(), 2u);
  EXPECT_TRUE(status.cells[0].done);
  ASSERT_FALSE(status.workers.empty());
  Cell cell = status.cells[0];
  cell.done = false;
  EXPECT_FALSE(status.running(cell));
  CollectionStatus busy = status;
  busy.tasks.push_back({"00ff/" + cell.shard.ToString() + "/0-4", "here.1.0", 1, 1.0});
  EXPECT_TRUE(busy.running(cell));
}

TEST_F(ReleasesTest, CostComesFromWhatWasMeasured) {
  const Cost before = *MeasureCost(*home_);
  EXPECT_FALSE(before.complete);
  EXPECT_FALSE(before.decode.core_seconds.has_value());
  Add(0, 8, "2026-11-01");
  ASSERT_TRUE(*SwitchRelease(*home_, Create("2026-11-01")));
  const Cost cost = *MeasureCost(*home_);
  EXPECT_TRUE(cost.complete);
  ASSERT_EQ(cost.features.size(), 2u);
  double sum = *cost.decode.core_seconds;
  for (const CostItem& item : cost.features) {
    EXPECT_EQ(item.measured_images, 8u);
    EXPECT_EQ(item.stored_images, 8u);
    EXPECT_GT(*item.bytes, 16) << "a signature and a value";
    sum += *item.core_seconds;
  }
  EXPECT_DOUBLE_EQ(cost.core_seconds, sum);
  EXPECT_GT(*cost.fingerprint_bytes, 0);
  EXPECT_GT(*cost.index_bytes, 0);
  EXPECT_DOUBLE_EQ(CoreHours(0.36, 1e9), 1e5);
  EXPECT_DOUBLE_EQ(Machines(0.36, 32 * 86'400 / 0.36, 86'400), 1);
}

}  // namespace
}  // namespace likeness
