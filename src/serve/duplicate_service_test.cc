// Duplicates over a home of real photographs: a smaller copy is the same photograph, asked for from either side, as an
// upload, and in a cluster; another photograph is not.
#include "serve/duplicate_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "image/encode.h"
#include "pipeline/add.h"
#include "pipeline/fingerprint.h"
#include "product/collection_duplicates.h"
#include "product/duplicate_json.h"
#include "serve/adder.h"
#include "serve/service_backend.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr int kPhotographs = 8, kCopies = 2;  // of the first ones

class DuplicateServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* given = std::getenv("LIKENESS_DATA");
    const std::filesystem::path data = given != nullptr ? given : LIKENESS_SOURCE_DIR "/../shared/data";
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(data / "products" / "images", error)) {
      files.push_back(entry.path());
    }
    if (files.size() < kPhotographs) GTEST_SKIP() << "no photographs in " << data << " (LIKENESS_DATA)";
    std::ranges::sort(files);
    const std::string toml =
        "threads = 2\n[deep]\nmodels = [\"tiny\"]\ncode_bits = 64\n[features]\ntypes = [\"deep\", \"pdq\", "
        "\"local\"]\n";
    ASSERT_TRUE(WriteFileAtomic(folder_ / "home" / "likeness.toml", AsBytes(toml)).ok());
    ASSERT_TRUE(InstallTinyModel(folder_ / "home" / "models", "tiny").ok());
    for (int i = 0; i < kPhotographs; ++i) {
      photographs_.push_back(*ReadFile(files[i]));
      Write("photograph" + std::to_string(i), photographs_.back());
      if (i < kCopies) {
        copies_.push_back(*MakeThumbnail(AsBytes(photographs_.back()), {}, 160));
        Write("copy" + std::to_string(i), copies_.back());
      }
    }
    home_ = *Home::Open(folder_ / "home", true);
  }
  void Write(const std::string& name, const std::string& bytes) const {
    ASSERT_TRUE(WriteFileAtomic(folder_ / "pictures" / (name + ".jpg"), AsBytes(bytes)).ok());
  }
  void Index() {
    ASSERT_TRUE(AddFolder(*home_, folder_ / "pictures", {}, {}).ok());
    const auto run = RunFingerprint(*home_, *CurrentExtractors(*home_), {});
    ASSERT_TRUE(run.ok()) << run.status();
    ASSERT_TRUE(BuildCurrentIndex(*home_, {}).ok());
  }
  static std::vector<Signature> SameOf(const DuplicatesAnswer& answer) {
    std::vector<Signature> same;
    for (const DuplicatesAnswer::Match& match : answer.matches) {
      if (match.verdict == DuplicateVerdict::kSame) same.push_back(match.image.signature);
    }
    return same;
  }
  static Signature Of(const std::string& bytes) { return Signature::Of(AsBytes(bytes)); }

  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  std::vector<std::string> photographs_, copies_;
  std::unique_ptr<Home> home_;
};

// An upload is known to the next question, as a match and as what is asked for, before and after a release has it.
TEST_F(DuplicateServiceTest, YoungPicturesAreKnownAtOnce) {
  Index();
  const auto search = *SearchService::Open(*home_, 2);
  Adder adder(*search, {.threads = 1});
  ServiceBackend backend(*search, &adder);
  const std::string copy = *MakeThumbnail(AsBytes(photographs_[5]), {}, 150);
  const auto same_as = [&](const std::string& bytes) {
    const auto answer = backend.Duplicates({.image = AsBytes(bytes)});
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? SameOf(*answer) : std::vector<Signature>();
  };
  EXPECT_THAT(same_as(photographs_[5]), ElementsAre(Of(photographs_[5])));
  NewPicture picture;
  picture.image = AsBytes(copy);
  picture.pin.description = "a copy";
  picture.has_words = true;
  const auto added = adder.Add(picture, Deadline::After(std::chrono::seconds(60)));
  ASSERT_TRUE(added.ok() && added->searchable) << added.status();
  EXPECT_THAT(same_as(photographs_[5]), UnorderedElementsAre(Of(photographs_[5]), Of(copy)));
  EXPECT_THAT(same_as(photographs_[6]), ElementsAre(Of(photographs_[6])));
  const auto known = backend.Duplicates({.signature = Of(copy)});
  ASSERT_TRUE(known.ok()) << known.status();
  EXPECT_THAT(SameOf(*known), ElementsAre(Of(photographs_[5]))) << "not the picture itself";
  const auto stored = backend.Duplicates({.signature = Of(photographs_[5])});
  ASSERT_TRUE(stored.ok() && stored->matches.size() == 1) << stored.status();
  EXPECT_EQ(stored->matches[0].image.signature, Of(copy));
  EXPECT_EQ(stored->matches[0].image.pins.at(0).description, "a copy");
  EXPECT_EQ(stored->matches[0].image.width, 150u);

  // The release has it, and this server does not serve that yet.
  const auto run = RunFingerprint(*home_, *CurrentExtractors(*home_), {});
  ASSERT_TRUE(run.ok() && BuildCurrentIndex(*home_, {}).ok()) << run.status();
  EXPECT_THAT(same_as(photographs_[5]), UnorderedElementsAre(Of(photographs_[5]), Of(copy)));
  ASSERT_TRUE(search->Reload().ok());
  EXPECT_THAT(same_as(photographs_[5]), UnorderedElementsAre(Of(photographs_[5]), Of(copy)));
  ASSERT_TRUE(*backend.Remove(Of(copy)));
  EXPECT_THAT(same_as(photographs_[5]), ElementsAre(Of(photographs_[5])));
}

TEST_F(DuplicateServiceTest, ASmallerCopyIsTheSamePhotograph) {
  DuplicateService service(*home_);
  EXPECT_EQ(service.Find({.image = AsBytes(photographs_[0])}).status().code(), absl::StatusCode::kFailedPrecondition);
  Index();
  for (int i = 0; i < kCopies; ++i) {
    const auto known = service.Find({.signature = Of(photographs_[i])});
    ASSERT_TRUE(known.ok()) << known.status();
    EXPECT_THAT(SameOf(*known), ElementsAre(Of(copies_[i]))) << "not the picture itself";
    EXPECT_EQ(known->width, 224u);
    const DuplicatesAnswer::Match& match = known->matches[0];
    EXPECT_NEAR(match.evidence.scale, 160.0 / 224, 0.02);
    EXPECT_FALSE(match.evidence.mirrored);
    EXPECT_THAT(match.image.source, HasSubstr("copy" + std::to_string(i)));
    EXPECT_EQ(match.image.pins.size(), 1u);
    const auto back = service.Find({.signature = Of(copies_[i])});
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_THAT(SameOf(*back), ElementsAre(Of(photographs_[i])));
    // The very file is among the duplicates of an upload.
    const auto uploaded = service.Find({.image = AsBytes(copies_[i])});
    ASSERT_TRUE(uploaded.ok()) << uploaded.status();
    EXPECT_THAT(SameOf(*uploaded), testing::UnorderedElementsAre(Of(photographs_[i]), Of(copies_[i])));
    EXPECT_EQ(uploaded->query, Of(copies_[i]));
  }
  const auto alone = service.Find({.signature = Of(photographs_[kPhotographs - 1])});
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_TRUE(SameOf(*alone).empty());

  EXPECT_EQ(service.Find({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(service.Find({.signature = Of("nobody")}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(BlameOf(service.Find({.image = AsBytes("no picture")}).status()), Blame::kData);
  EXPECT_EQ(service.Find({.image = AsBytes(copies_[0]), .deadline = Deadline::After(std::chrono::milliseconds(0))})
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(service.Find({.image = AsBytes(copies_[0]), .limit = 1})->matches.size(), 1u);
}

TEST_F(DuplicateServiceTest, ClustersAreFoundInTheBackgroundAndPaged) {
  Index();
  DuplicateService service(*home_);
  auto page = service.Clusters(0, 10);
  while (page.ok() && page->running) {
    EXPECT_LE(page->done, page->images);
    EXPECT_TRUE(page->clusters.empty());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    page = service.Clusters(0, 10);
  }
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->images, static_cast<uint64_t>(kPhotographs + kCopies));
  ASSERT_EQ(page->total, static_cast<uint64_t>(kCopies));
  std::vector<Signature> representatives, wanted;
  for (const auto& cluster : page->clusters) {
    representatives.push_back(cluster.representative.signature);
    ASSERT_EQ(cluster.members.size(), 1u);
    EXPECT_NEAR(cluster.members[0].evidence.scale, 224.0 / 160, 0.03) << "the member is the query";
  }
  for (int i = 0; i < kCopies; ++i) wanted.push_back(Of(photographs_[i]));
  EXPECT_THAT(representatives, testing::UnorderedElementsAreArray(wanted)) << "the larger one represents";
  const auto second = service.Clusters(1, 1);
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_EQ(second->clusters.size(), 1u);
  EXPECT_EQ(second->clusters[0].representative.signature, representatives[1]);
  EXPECT_TRUE(service.Clusters(2, 5)->clusters.empty());

  // A switch of releases starts another run; a service that ends stops the one that is on its way.
  Write("one_more", copies_[0].substr(0, copies_[0].size() / 2) + "x");
  Index();
  const auto again = service.Clusters(0, 10);
  ASSERT_TRUE(again.ok()) << again.status();
}

TEST_F(DuplicateServiceTest, AnImageIsAskedOnceAndNewOnesAskAll) {
  Index();
  const auto clusters = [&](bool again) {
    const auto duplicates = *CollectionDuplicates::Open(*home_);
    const auto log = *duplicates->OpenLog(again);
    FindPairsOptions options;
    options.threads = 2;
    const CollectionDuplicates::Clusters found = duplicates->FindClusters(options, log.get());
    std::string text;
    std::vector<Signature> images;  // the representative of each, then its members
    for (const DuplicateCluster& cluster : found.clusters) {
      text += DuplicateClusterJson(cluster, [&](uint64_t document) {
        return "\"signature\":\"" + duplicates->signature(document).Hex() + "\"";
      });
      images.push_back(duplicates->signature(cluster.representative));
      for (const auto& member : cluster.members) images.push_back(duplicates->signature(member.document));
    }
    return std::tuple(found.asked, text, images);
  };
  const auto [first_asked, first, few] = clusters(false);
  EXPECT_EQ(first_asked, uint64_t{kPhotographs + kCopies});
  EXPECT_THAT(few, testing::Contains(Of(copies_[0])));
  const auto [none_asked, second, same] = clusters(false);
  EXPECT_EQ(none_asked, 0u);
  EXPECT_EQ(second, first) << "with the same evidence to the bit";

  const std::string late = *MakeThumbnail(AsBytes(photographs_[5]), {}, 150);
  Write("late", late);
  Index();
  const auto [one_asked, grown_text, grown] = clusters(false);
  EXPECT_EQ(one_asked, 1u);
  EXPECT_THAT(grown, testing::Contains(Of(late)));
  const auto [all_asked, anew_text, anew] = clusters(true);
  EXPECT_EQ(all_asked, uint64_t{kPhotographs + kCopies + 1});
  EXPECT_EQ(anew, grown) << "the same clusters, asked from either side";
}

}  // namespace
}  // namespace likeness
