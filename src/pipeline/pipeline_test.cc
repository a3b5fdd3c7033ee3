// The pipeline's promises: what was looked at is not read again, a feature is computed once, a stopped run goes on
// where it was, and the same content gives the same release.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/file.h"
#include "pipeline/add.h"
#include "pipeline/binarizers.h"
#include "pipeline/collection_status.h"
#include "pipeline/fingerprint.h"
#include "pipeline/open_snapshot.h"
#include "store/feature_shard.h"
#include "store/object_keys.h"
#include "support/fixed_clock.h"
#include "support/odd_files.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class PipelineTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(home_path_);
    Configure("");
    ASSERT_TRUE(InstallTinyModel(home_path_ / "models", "tiny").ok());
    home_ = *Home::Open(home_path_, true);
  }

  void Configure(const std::string& sections) {
    const std::string toml =
        "threads = 2\n[deep]\nmodels = [\"tiny\"]\ncode_bits = 64\n[features]\ntypes = [\"deep\"]\n" + sections;
    ASSERT_TRUE(WriteFileAtomic(home_path_ / "likeness.toml", AsBytes(toml)).ok());
  }
  void MakePictures(int begin, int end) {
    for (int i = begin; i < end; ++i) Write("p" + std::to_string(i) + ".jpg", MakeJpeg(i, 40, 30));
  }
  void Write(const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(WriteFileAtomic(pictures_ / name, AsBytes(bytes)).ok());
  }
  AddReport Add(const char* day = "2026-11-22") {
    return *AddFolder(*home_, pictures_, {.threads = 2}, {}, FixedClock(day));
  }
  FingerprintReport Fingerprint(const RunControl& control = {}) {
    return *RunFingerprint(*home_, *CurrentExtractors(*home_), control);
  }
  IndexReport Index() { return **BuildIndex(*home_, *BuildFeatures(*home_, *CurrentFeatures(*home_)), {}); }

  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  const std::filesystem::path home_path_ = folder_ / "home", pictures_ = folder_ / "pictures";
  std::unique_ptr<Home> home_;
};

TEST_F(PipelineTest, AddReadsAFileOnce) {
  MakePictures(0, 5);
  Write("deep/er/copy.jpg", MakeJpeg(0, 40, 30));
  Write(".hidden.jpg", MakeJpeg(9, 40, 30));
  Write(".hidden/also.jpg", MakeJpeg(8, 40, 30));
  const AddReport first = Add();
  EXPECT_EQ(first.files, 6u);
  EXPECT_EQ(first.read, 6u);
  EXPECT_EQ(first.images, 5u);
  EXPECT_EQ(first.pins, 6u);
  const AddReport second = Add();
  EXPECT_EQ(second.files, 6u);
  EXPECT_EQ(second.read, 0u);
  EXPECT_EQ(second.pins, 0u);
  const auto pins = *home_->catalog().Pins(std::vector{Signature::Of(AsBytes(MakeJpeg(0, 40, 30)))});
  ASSERT_THAT(pins, SizeIs(2));
  EXPECT_EQ(pins[0].board, "deep/er");
  EXPECT_EQ(pins[0].description, "copy");
  EXPECT_EQ(pins[1].board, "pictures");
}

TEST_F(PipelineTest, WhatCannotBeReadIsListedAndNothingElseSuffers) {
  MakePictures(0, 3);
  Write("empty.jpg", "");
  Write("text.jpg", "this is no picture");
  Write("cut.jpg", MakeJpeg(7, 200, 150).substr(0, 900));
  std::filesystem::create_directory_symlink(pictures_, pictures_ / "loop");
  ASSERT_EQ(::symlink("/nowhere/at/all", (pictures_ / "dangling.jpg").c_str()), 0);
  Add();
  Fingerprint();
  EXPECT_EQ(Index().release.images(), 3u);
  const auto quarantined = *home_->catalog().Quarantine(100);
  std::map<std::string, std::string> reasons;
  for (const auto& one : quarantined) reasons[std::filesystem::path(one.source).filename()] = one.reason;
  EXPECT_THAT(reasons["empty.jpg"], HasSubstr("empty"));
  EXPECT_NE(reasons["text.jpg"], "");
  EXPECT_NE(reasons["cut.jpg"], "");
  EXPECT_THAT(reasons["dangling.jpg"], HasSubstr("No such file"));
  EXPECT_THAT(reasons, SizeIs(4));
  EXPECT_EQ(Fingerprint().work.decoded, 0u) << "a picture in quarantine is not tried again";
}

TEST_F(PipelineTest, LinesArePinsOrPaths) {
  MakePictures(0, 2);
  std::istringstream lines(
      "{\"pin\": 17, \"image\": \"p0.jpg\", \"board\": \"b\", \"board_title\": \"Red\", \"description\": \"a red "
      "dress\"}\n"
      "\n"
      "{\"pin\": \"18\", \"image\": \"p0.jpg\", \"board\": \"c\"}\r\n"
      "p1.jpg\n");
  const AddReport report = *AddLines(*home_, lines, pictures_, {}, {});
  EXPECT_EQ(report.files, 3u);
  EXPECT_EQ(report.read, 2u);
  EXPECT_EQ(report.images, 2u);
  EXPECT_EQ(report.pins, 3u);
  EXPECT_THAT(*home_->catalog().Match({"", "dress"}), SizeIs(1));
  std::istringstream bad("p1.jpg\n{\"pin\": 1}\n");
  const auto refused = AddLines(*home_, bad, pictures_, {}, {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(refused.status()), HasSubstr("line 2"));
}

TEST_F(PipelineTest, CopiedPicturesSurviveTheirFiles) {
  MakePictures(0, 1);
  ASSERT_TRUE(AddFolder(*home_, pictures_, {.copy = true}, {}).ok());
  std::filesystem::remove_all(pictures_);
  const Signature signature = Signature::Of(AsBytes(MakeJpeg(0, 40, 30)));
  EXPECT_EQ(*home_->ReadImage(**home_->catalog().Image(signature)), MakeJpeg(0, 40, 30));
}

TEST_F(PipelineTest, AChangedFileIsRefusedUntilItIsAddedAgain) {
  MakePictures(0, 1);
  Add();
  const Signature before = Signature::Of(AsBytes(MakeJpeg(0, 40, 30)));
  Write("p0.jpg", MakeJpeg(1, 41, 30));
  EXPECT_EQ(home_->ReadImage(**home_->catalog().Image(before)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Add().images, 1u);
  EXPECT_THAT(*home_->catalog().Unpinned(), testing::ElementsAre(before));
}

TEST_F(PipelineTest, APictureThatMovedIsFoundWhereItIsNow) {
  MakePictures(0, 1);
  Add();
  const ImageRecord image = **home_->catalog().Image(Signature::Of(AsBytes(MakeJpeg(0, 40, 30))));
  std::filesystem::create_directories(pictures_ / "elsewhere");
  std::filesystem::rename(pictures_ / "p0.jpg", pictures_ / "elsewhere" / "p0.jpg");
  EXPECT_EQ(home_->ReadImage(image).status().code(), absl::StatusCode::kNotFound);
  Add();
  EXPECT_EQ(*home_->ReadImage(image), MakeJpeg(0, 40, 30));
}

TEST_F(PipelineTest, APictureThatWasGoneIsComputedWhenItComesAgain) {
  MakePictures(0, 3);
  Add();
  const auto away = folder_ / "away.jpg";
  std::filesystem::rename(pictures_ / "p1.jpg", away);
  EXPECT_EQ(Fingerprint().work.computed, 2u);
  EXPECT_EQ(Index().release.images(), 2u);
  EXPECT_EQ(home_->catalog().Counts()->quarantined, 1u);
  std::filesystem::rename(away, pictures_ / "p1.jpg");
  Add("2026-11-23");
  EXPECT_EQ(home_->catalog().Counts()->quarantined, 0u);
  EXPECT_EQ(Fingerprint().work.computed, 1u) << "and the others are not computed again";
  EXPECT_EQ(Index().release.images(), 3u);
}

TEST_F(PipelineTest, NewLimitsLookAgainAtWhatTheOldOnesRefused) {
  Configure("[image]\nmax_pixels = 100\n");
  home_ = *Home::Open(home_path_, false);
  MakePictures(0, 1);
  Add();
  EXPECT_EQ(home_->catalog().Counts()->images, 0u);
  Configure("");
  home_ = *Home::Open(home_path_, false);
  const auto later = std::filesystem::last_write_time(pictures_ / "p0.jpg") + std::chrono::seconds(1);
  std::filesystem::last_write_time(pictures_ / "p0.jpg", later);
  Add();
  EXPECT_EQ(home_->catalog().Counts()->images, 1u);
  EXPECT_EQ(Fingerprint().work.computed, 1u);
}

TEST_F(PipelineTest, AFeatureIsComputedOnceAndADaysWorkTouchesThatDay) {
  MakePictures(0, 10);
  Add("2026-11-21");
  EXPECT_EQ(Fingerprint().work.computed, 10u);
  const Release first = Index().release;
  EXPECT_EQ(first.images(), 10u);
  EXPECT_EQ(Fingerprint().work.decoded, 0u);
  EXPECT_FALSE(Index().switched);

  MakePictures(10, 11);
  Add("2026-11-22");
  const FingerprintReport second = Fingerprint();
  EXPECT_EQ(second.work.decoded, 1u);
  EXPECT_EQ(second.materialised.shards, 1u);
  const IndexReport index = Index();
  EXPECT_EQ(index.release.images(), 11u);
  EXPECT_EQ(index.built.shards, 1u) << "the segment of the first day stays";
  EXPECT_NE(index.release.name, first.name);
  const auto snapshot = *OpenSnapshot(*home_, index.release);
  EXPECT_EQ(snapshot->doc_count(), 11u);
}

TEST_F(PipelineTest, EpochsAreCutIntoShards) {
  Configure("[fingerprint]\nshard_images = 4\nchunk_images = 3\n");
  home_ = *Home::Open(home_path_, false);
  MakePictures(0, 10);
  Add();
  Fingerprint();
  const auto shards = *home_->catalog().Shards();
  ASSERT_THAT(shards, SizeIs(3));
  for (const ShardRecord& shard : shards) EXPECT_LE(shard.images, 4u);
  EXPECT_EQ(Index().release.images(), 10u);
  const CollectionStatus status = *ReadCollectionStatus(*home_);
  ASSERT_THAT(status.cells, SizeIs(3));
  for (const Cell& cell : status.cells) EXPECT_TRUE(cell.done);
}

TEST_F(PipelineTest, AStoppedRunKeepsWhatItHasAndGoesOn) {
  Configure("[fingerprint]\nchunk_images = 4\n");
  home_ = *Home::Open(home_path_, false);
  MakePictures(0, 20);
  Add();
  std::atomic<bool> stop{false};
  RunControl control;
  control.stop = &stop;
  control.progress = [&](std::string_view stage, uint64_t done, uint64_t) {
    if (stage == "fingerprint" && done >= 8) stop = true;
  };
  const uint64_t before = Fingerprint(control).work.computed;
  EXPECT_GE(before, 8u);
  EXPECT_LT(before, 20u);
  EXPECT_EQ(Fingerprint().work.computed, 20 - before);
  EXPECT_EQ(Index().release.images(), 20u);
}

TEST_F(PipelineTest, ABinarizerOfALongVectorIsStoredAndReadAgain) {
  constexpr uint32_t kDimension = 4096;
  const FeatureKey feature = FeatureKey::Of("deep.long", "a feature of 4,096 components");
  const ShardId shard{*Epoch::Parse("2026-11-22"), 0};
  FeatureShardWriter writer({feature, shard, {Dtype::kF16, kDimension, false}});
  std::vector<uint16_t> halves(kDimension);
  for (int i = 0; i < 3; ++i) {
    for (size_t d = 0; d < kDimension; ++d) halves[d] = static_cast<uint16_t>(0x3c00 + (d * 7 + i * 131) % 512);
    const std::string name = std::to_string(i);
    ASSERT_TRUE(writer.Add(Signature::Of(AsBytes(name)), {1, 1}, halves).ok());
  }
  ASSERT_TRUE(home_->objects().Put(FeatureShardKey(feature, shard), AsBytes(*writer.Seal()), {}).ok());
  const auto made = EnsureBinarizer(*home_, feature);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->binarizer.bits(), 64u);
  EXPECT_FALSE(made->binarizer.flips().empty());
  const auto again = EnsureBinarizer(*home_, feature);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->digest, made->digest);
  EXPECT_EQ(again->binarizer.Digest(), made->binarizer.Digest());
  const auto entries = ListBinarizers(*home_);
  ASSERT_TRUE(entries.ok());
  ASSERT_THAT(*entries, SizeIs(1));
  EXPECT_EQ(entries->front().bits, 64u);
  EXPECT_EQ(entries->front().trained_on, 3u);
}

TEST_F(PipelineTest, ABinarizerIsTrainedAgainWhenTheCollectionHasOutgrownIt) {
  MakePictures(0, 5);
  Add();
  Fingerprint();
  const std::string first = Index().release.features[0].binarizer;
  MakePictures(5, 8);
  Add();
  Fingerprint();
  EXPECT_EQ(Index().release.features[0].binarizer, first) << "8 images are not 4 times 5";
  MakePictures(8, 24);
  Add();
  Fingerprint();
  const IndexReport grown = Index();
  EXPECT_NE(grown.release.features[0].binarizer, first);
  EXPECT_EQ(grown.release.images(), 24u);
}

TEST_F(PipelineTest, ADamagedPartIsComputedAgain) {
  Configure("[fingerprint]\nchunk_images = 4\n");
  home_ = *Home::Open(home_path_, false);
  MakePictures(0, 12);
  Add();
  std::atomic<bool> stop{false};
  RunControl control;
  control.stop = &stop;
  control.progress = [&](std::string_view, uint64_t done, uint64_t) { stop = done >= 4; };
  Fingerprint(control);
  size_t damaged = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home_path_ / "objects" / "features")) {
    if (entry.path().string().find(".part") == std::string::npos) continue;
    std::string bytes = *ReadFile(entry.path());
    bytes[bytes.size() / 2] ^= 4;
    ASSERT_TRUE(WriteFileAtomic(entry.path(), AsBytes(bytes)).ok());
    ++damaged;
  }
  ASSERT_GE(damaged, 1u);
  EXPECT_EQ(Fingerprint().work.computed, 12u);
  EXPECT_EQ(Index().release.images(), 12u);
}

TEST(Config, NamesTheKeyTheValueAndWhatToDo) {
  EXPECT_TRUE(ParseConfig("").ok());
  EXPECT_EQ(ParseConfig("threads = 3\n[image]\nmax_aspect = 10")->threads, 3u);
  const std::pair<const char*, const char*> bad[] = {
      {"thread = 3", "unknown key \"thread\""},
      {"[image]\nmax_pixels = \"many\"", "\"image.max_pixels\" is 'many': must be a whole number"},
      {"[deep]\ncode_bits = 5000", "\"deep.code_bits\" is 5000: must be a whole number from 0 to 4096"},
      {"[deep]\nmodels = [1]", "must be a list of names"},
      {"[deep", "line 1"},
  };
  for (const auto& [toml, sentence] : bad) {
    const auto config = ParseConfig(toml);
    ASSERT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << toml;
    EXPECT_THAT(MessageOf(config.status()), HasSubstr(sentence)) << toml;
  }
}

TEST(Config, NeverShowsASecretOfAnAddress) {
  const std::pair<const char*, const char*> bad[] = {
      {"[catalog]\nurl = \"mysql://me:s3cret@host/shop?password=s3cret\"",
       "is 'mysql://...@host/shop': must be an address"},
      {"[queue]\nurl = \"http://s3cret@host:4222\"", "is 'http://...@host:4222': must be an address"},
      {"[queue]\nurl = \"amqp://me:a,s3cret@a,amqp://me:s3cret,b@b\"", "is 'amqp://...@b'"},
      {"[queue]\nurl = [\"nats://me:s3cret@host\"]", "\"queue.url\" is no text: must be an address"},
      {"[objects]\nendpoint = \"ftp://host#s3cret\"", "is 'ftp://host': must be an address like http://"},
      {"[catalog]\nurl = \"host=a password=s3cret\"", "is '...': must be an address like postgresql://"},
      {"[catalog]\nurl = \"shop\"", "is 'shop': must be an address like postgresql://"},
      {"[queue]\npassword = \"s3cret\"", "unknown key \"queue.password\""},
      {"[catalog]\nurl = \"postgresql://me:s3cret@host", "line 2"},
  };
  for (const auto& [toml, sentence] : bad) {
    const auto config = ParseConfig(toml);
    ASSERT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument) << toml;
    EXPECT_THAT(MessageOf(config.status()), testing::AllOf(HasSubstr(sentence), testing::Not(HasSubstr("s3cret"))));
  }
}

TEST(HomeTest, AMissingHomeSaysHowToMakeOne) {
  const auto path = std::filesystem::path(testing::TempDir()) / "likeness_no_such_home";
  const auto home = Home::Open(path, false);
  EXPECT_EQ(home.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(MessageOf(home.status()), HasSubstr("add FOLDER"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace likeness
