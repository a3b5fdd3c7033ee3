// What pictures that come and go while a collection is served promise: found at once and once, also after a crash and
// after the next release; gone at once and for ever; and no feature is computed twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "base/file.h"
#include "pipeline/add.h"
#include "pipeline/fingerprint.h"
#include "pipeline/releases.h"
#include "pipeline/remove.h"
#include "pipeline/young.h"
#include "serve/adder.h"
#include "serve/search_service.h"
#include "store/object_keys.h"
#include "support/odd_files.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAreArray;

class OnlineTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string toml =
        "threads = 2\n[deep]\nmodels = [\"tiny\"]\ncode_bits = 64\n[features]\ntypes = [\"deep\", \"color\", "
        "\"pdq\"]\n";
    ASSERT_TRUE(WriteFileAtomic(folder_ / "home" / "likeness.toml", AsBytes(toml)).ok());
    ASSERT_TRUE(InstallTinyModel(folder_ / "home" / "models", "tiny").ok());
    home_ = *Home::Open(folder_ / "home", true);
  }

  static std::string Picture(int i) { return MakeJpeg(i, 60, 40); }
  static Signature SignatureOf(int i) { return Signature::Of(AsBytes(Picture(i))); }
  std::filesystem::path PathOf(int i) const { return folder_ / "pictures" / ("p" + std::to_string(i) + ".jpg"); }

  void Ingest(int begin, int end) {
    for (int i = begin; i < end; ++i) ASSERT_TRUE(WriteFileAtomic(PathOf(i), AsBytes(Picture(i))).ok());
    ASSERT_TRUE(AddFolder(*home_, folder_ / "pictures", {}, {}).ok());
    Build();
  }
  FingerprintReport Build() {
    const auto run = RunFingerprint(*home_, *CurrentExtractors(*home_), {});
    EXPECT_TRUE(run.ok()) << run.status();
    EXPECT_TRUE(BuildIndex(*home_, *BuildFeatures(*home_, run->features), {}).ok());
    return *run;
  }
  void Start() {
    service_ = *SearchService::Open(*home_, 2);
    adder_ = std::make_unique<Adder>(*service_, AdderOptions{.threads = 2});
    const absl::Status warm = adder_->Warm();
    ASSERT_TRUE(warm.ok()) << warm;
  }
  // As a server that is killed: nothing that it held in memory is left.
  void Restart() {
    adder_ = nullptr;
    service_ = nullptr;
    home_ = *Home::Open(folder_ / "home", false);
    Start();
  }
  absl::StatusOr<AddedPicture> Post(const std::string& bytes, const std::string& description = "") {
    NewPicture picture;
    picture.image = AsBytes(bytes);
    picture.pin.description = description;
    picture.has_words = !description.empty();
    return adder_->Add(picture, Deadline::After(std::chrono::seconds(60)));
  }
  std::vector<Signature> Search(int i, size_t k = 1000) {
    const std::string bytes = Picture(i);
    SearchRequest request;
    request.image = AsBytes(bytes);
    request.k = k;
    const auto answer = service_->Search(request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    std::vector<Signature> found;
    for (const auto& result : answer->results) found.push_back(result.hit.signature);
    return found;
  }
  // Everything there is, as a list and as a search finds it: each once.
  void ExpectAll(const std::vector<int>& pictures) {
    std::vector<Signature> wanted, listed;
    for (const int i : pictures) wanted.push_back(SignatureOf(i));
    EXPECT_THAT(Search(0), UnorderedElementsAreArray(wanted));
    const auto list = service_->List(0, 1000, {});
    for (const auto& item : list->images) listed.push_back(item.signature);
    EXPECT_THAT(listed, UnorderedElementsAreArray(wanted));
    EXPECT_EQ(list->total, wanted.size());
    EXPECT_EQ(service_->serving()->visible, wanted.size());
  }
  size_t YoungBatches() { return ListAll(home_->objects(), kYoungPrefix)->size(); }

  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  std::unique_ptr<Home> home_;
  std::unique_ptr<SearchService> service_;
  std::unique_ptr<Adder> adder_;
};

TEST_F(OnlineTest, ANewPictureIsFoundAtOnceAfterARestartAndOnceAfterTheNextRelease) {
  Ingest(0, 5);
  Start();
  const auto added = Post(Picture(5), "a new one");
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_TRUE(added->is_new);
  EXPECT_TRUE(added->searchable) << added->reason;
  EXPECT_EQ(added->signature, SignatureOf(5));
  EXPECT_EQ(Search(5, 1), std::vector{SignatureOf(5)});
  ExpectAll({0, 1, 2, 3, 4, 5});
  EXPECT_FALSE(service_->Colors(SignatureOf(5)).empty()) << "all its features are there";
  SearchRequest known;
  known.signature = SignatureOf(5);
  const SearchAnswer answer = *service_->Search(known);
  EXPECT_NEAR(answer.results[0].hit.score.value, 1, 1e-5);
  EXPECT_EQ(answer.results[0].pins[0].description, "a new one");
  EXPECT_EQ(answer.coverage.searched, 6u);

  Restart();
  ExpectAll({0, 1, 2, 3, 4, 5});

  const std::string young = service_->serving()->release.name;
  const FingerprintReport run = Build();
  EXPECT_EQ(run.plan.new_images, 1u);
  EXPECT_EQ(run.plan.adopted, 3u);
  EXPECT_EQ(run.work.computed, 0u) << "a feature is computed once";
  EXPECT_EQ(run.work.decoded, 0u);
  ExpectAll({0, 1, 2, 3, 4, 5});
  ASSERT_TRUE(service_->Reload().ok());
  EXPECT_NE(service_->serving()->release.name, young);
  EXPECT_EQ(service_->serving()->snapshot->young(), 0u);
  ExpectAll({0, 1, 2, 3, 4, 5});
  while (*service_->live().TidyOnce()) {
  }
  EXPECT_EQ(YoungBatches(), 0u) << "the release has it";
  Restart();
  ExpectAll({0, 1, 2, 3, 4, 5});
}

TEST_F(OnlineTest, ValuesOfAYoungPictureAreThoseThatARunComputes) {
  Ingest(0, 3);
  Start();
  ASSERT_TRUE(Post(Picture(7)).ok());
  const auto extractors = *CurrentExtractors(*home_);
  Build();
  const ImageRecord image = **home_->catalog().Image(SignatureOf(7));
  const PictureFeatures stored = *StoredFeatures(*home_, image, extractors);
  const PictureFeatures computed = *ComputeFeatures(*home_, AsBytes(Picture(7)), extractors);
  ASSERT_THAT(stored.features, SizeIs(3));
  EXPECT_EQ(stored.size, computed.size);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(stored.features[i].key, computed.features[i].key);
    EXPECT_EQ(*stored.features[i].value, *computed.features[i].value);
  }
}

TEST_F(OnlineTest, TheSamePictureTwiceIsOneAndKeepsItsWords) {
  Ingest(0, 3);
  Start();
  ASSERT_TRUE(Post(Picture(5), "first words")->is_new);
  const auto again = Post(Picture(5));
  EXPECT_FALSE(again->is_new);
  EXPECT_TRUE(again->searchable);
  EXPECT_EQ(home_->catalog().Pins(std::vector{SignatureOf(5)})->at(0).description, "first words");
  ASSERT_TRUE(Post(Picture(5), "other words").ok());
  const auto pins = *home_->catalog().Pins(std::vector{SignatureOf(5)});
  ASSERT_THAT(pins, SizeIs(1));
  EXPECT_EQ(pins[0].description, "other words");
  EXPECT_FALSE(Post(Picture(1))->is_new) << "a release has it";
  ExpectAll({0, 1, 2, 5});
  // Eight at once: one is new, all are answered, and one batch is written.
  const size_t before = YoungBatches();
  std::atomic<int> fresh = 0, found = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto added = Post(Picture(6));
      fresh += added.ok() && added->is_new ? 1 : 0;
      found += added.ok() && added->searchable ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fresh, 1);
  EXPECT_EQ(found, 8);
  EXPECT_LE(YoungBatches(), before + 1);
  ExpectAll({0, 1, 2, 5, 6});
}

TEST_F(OnlineTest, WhatCannotBeReadIsRefusedAndNothingIsStored) {
  Ingest(0, 2);
  home_->mutable_config().image.max_bytes = 100'000;
  Start();
  const auto objects = ListAll(home_->objects(), "")->size();
  const std::string broken = Picture(5).substr(0, 200), text = "no picture at all, but long enough to be looked at";
  for (const std::string& bytes : {broken, text, std::string(100'001, 'x')}) {
    const auto added = Post(bytes);
    EXPECT_EQ(BlameOf(added.status()), Blame::kData) << added.status();
    EXPECT_FALSE(added.status().message().empty());
    EXPECT_FALSE(*home_->catalog().Image(Signature::Of(AsBytes(bytes))));
  }
  EXPECT_EQ(Post("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ListAll(home_->objects(), "")->size(), objects);
  EXPECT_EQ(home_->catalog().Counts()->images, 2u);
  EXPECT_EQ(home_->catalog().Counts()->quarantined, 0u);
}

TEST_F(OnlineTest, ARemovedPictureIsGoneEverywhereAndForEver) {
  Ingest(0, 6);
  Start();
  ASSERT_TRUE(Post(Picture(6)).ok());
  ASSERT_TRUE(Post(Picture(7)).ok());
  EXPECT_TRUE(*service_->Remove(SignatureOf(2)));   // of the release
  EXPECT_TRUE(*service_->Remove(SignatureOf(6)));   // young
  EXPECT_FALSE(*service_->Remove(SignatureOf(6)));  // not twice
  EXPECT_FALSE(*service_->Remove(SignatureOf(99)));
  ExpectAll({0, 1, 3, 4, 5, 7});
  SearchRequest known;
  known.signature = SignatureOf(2);
  EXPECT_EQ(service_->Search(known).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(*home_->objects().Head(ImageKey(SignatureOf(6)))) << "its bytes were ours";
  EXPECT_TRUE(std::filesystem::exists(PathOf(2))) << "its file was not";
  Restart();
  ExpectAll({0, 1, 3, 4, 5, 7});
  // Its file is still there, and the next release has a place for it.
  Ingest(8, 9);
  ASSERT_TRUE(service_->Reload().ok());
  ExpectAll({0, 1, 3, 4, 5, 7, 8});
  Restart();
  ExpectAll({0, 1, 3, 4, 5, 7, 8});
  // Sending it again is wanting it again.
  for (const int i : {2, 6}) {
    const auto revived = Post(Picture(i));
    ASSERT_TRUE(revived.ok()) << revived.status();
    EXPECT_TRUE(revived->is_new && revived->searchable);
    EXPECT_TRUE(home_->ReadImage(**home_->catalog().Image(SignatureOf(i))).ok());
  }
  ExpectAll({0, 1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(Build().work.computed, 0u);
  ASSERT_TRUE(service_->Reload().ok());
  ExpectAll({0, 1, 2, 3, 4, 5, 6, 7, 8});
}

TEST_F(OnlineTest, AnAnswerHasKHitsHoweverManyAreRemovedAlsoByOthers) {
  Ingest(0, 40);
  Start();
  for (int i = 0; i < 30; ++i) {
    // By another process: this one is not told.
    ASSERT_TRUE(*RemoveImage(*home_, SignatureOf(i)));
    EXPECT_THAT(Search(i, 10), SizeIs(10));
    for (const Signature& hit : Search(i, 10)) EXPECT_NE(hit, SignatureOf(i));
  }
  std::vector<int> left;
  for (int i = 30; i < 40; ++i) left.push_back(i);
  ExpectAll(left);
}

TEST_F(OnlineTest, ManyAdditionsMakeFewSegmentsAndLoseNothing) {
  Ingest(0, 2);
  Start();
  std::vector<int> all = {0, 1};
  for (int i = 2; i < 42; ++i) {
    ASSERT_TRUE(Post(Picture(i))->searchable);
    all.push_back(i);
  }
  while (*service_->live().TidyOnce()) {
  }
  ExpectAll(all);
  EXPECT_LE(service_->live().young().segments, 3 * kYoungFanIn);
  EXPECT_LE(YoungBatches(), 3 * kYoungFanIn);
  Restart();
  ExpectAll(all);
  // Half of them are in the next release, the other half came while it was built.
  const auto run = RunFingerprint(*home_, *CurrentExtractors(*home_), {});
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->work.computed, 0u);
  for (int i = 42; i < 50; ++i) {
    ASSERT_TRUE(Post(Picture(i)).ok());
    all.push_back(i);
  }
  ASSERT_TRUE(BuildIndex(*home_, *BuildFeatures(*home_, run->features), {}).ok());
  ASSERT_TRUE(service_->Reload().ok());
  ExpectAll(all);
  while (*service_->live().TidyOnce()) {
  }
  ExpectAll(all);
  EXPECT_EQ(service_->live().young().images, 8u);
}

TEST_F(OnlineTest, RemovedUnderLoadIsNeverSeenAfterItsAnswer) {
  Ingest(0, 30);
  Start();
  std::array<std::atomic<bool>, 60> gone{};
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0, short_ones = 0;
  std::vector<std::thread> searchers;
  for (int t = 0; t < 2; ++t) {
    searchers.emplace_back([&, t] {
      for (int i = t; !stop; ++i) {
        std::set<Signature> before;
        for (int p = 0; p < 60; ++p) {
          if (gone[static_cast<size_t>(p)]) before.insert(SignatureOf(p));
        }
        const auto found = Search(i % 60, 10);
        short_ones += found.size() < 10 ? 1 : 0;
        for (const Signature& signature : found) wrong += before.contains(signature) ? 1 : 0;
      }
    });
  }
  for (int i = 30; i < 60; ++i) {
    ASSERT_TRUE(Post(Picture(i)).ok());
    const int victim = i % 2 == 0 ? i : i - 30;
    ASSERT_TRUE(*service_->Remove(SignatureOf(victim)));
    gone[static_cast<size_t>(victim)] = true;
  }
  stop = true;
  for (std::thread& thread : searchers) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(short_ones, 0);
  EXPECT_EQ(service_->serving()->visible, 30u);
}

TEST_F(OnlineTest, BeforeTheFirstReleaseAPictureIsTakenInAndWaits) {
  Start();
  const auto added = Post(Picture(1));
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_FALSE(added->searchable);
  EXPECT_THAT(added->reason, HasSubstr("likeness index"));
  EXPECT_EQ(Build().work.computed, 0u);
  ASSERT_TRUE(service_->Reload().ok());
  EXPECT_EQ(Search(1), std::vector{SignatureOf(1)});
}

TEST_F(OnlineTest, ASecondServerSaysThatAnotherTakesPicturesInAndFindsThem) {
  Ingest(0, 2);
  Start();
  const auto other_home = *Home::Open(folder_ / "home", false);
  const auto other = *SearchService::Open(*other_home, 1);
  Adder second(*other, {});
  const std::string bytes = Picture(5);
  NewPicture picture;
  picture.image = AsBytes(bytes);
  EXPECT_EQ(second.Add(picture, Deadline::Never()).status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Post(bytes).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  ASSERT_TRUE(other->Reload().ok());
  EXPECT_EQ(other->serving()->visible, 3u);
  adder_ = nullptr;  // It ends, and the other takes over.
  EXPECT_TRUE(second.Add(picture, Deadline::Never()).ok());
}

TEST_F(OnlineTest, AFeatureVersionThatChangesUnderYoungPicturesLosesNone) {
  Ingest(0, 6);
  Start();
  ASSERT_TRUE(Post(Picture(6)).ok());
  // Another model is configured, and a release is made of it by another process, without the young picture.
  ASSERT_TRUE(*RemoveImage(*home_, SignatureOf(0)));
  const std::string toml =
      "threads = 2\n[deep]\nmodels = [\"other\"]\ncode_bits = 64\n[features]\ntypes = [\"deep\", \"color\"]\n";
  ASSERT_TRUE(WriteFileAtomic(folder_ / "home" / "likeness.toml", AsBytes(toml)).ok());
  ASSERT_TRUE(InstallTinyModel(folder_ / "home" / "models", "other", {.seed = 2}).ok());
  {
    const auto other = *Home::Open(folder_ / "home", false);
    const auto run = RunFingerprint(*other, *CurrentExtractors(*other), {});
    ASSERT_TRUE(run.ok()) << run.status();
    ASSERT_TRUE(Post(Picture(7)).ok()) << "computed with the features that this server knows";
    ASSERT_TRUE(BuildIndex(*other, *BuildFeatures(*other, run->features), {}).ok());
  }
  ASSERT_TRUE(service_->Reload().ok());
  EXPECT_EQ(service_->serving()->feature.type, "deep.other");
  ExpectAll({1, 2, 3, 4, 5, 6, 7});
  ASSERT_TRUE(Post(Picture(8))->searchable);
  Restart();
  ExpectAll({1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(Build().work.computed, 0u);
}

TEST_F(OnlineTest, ADamagedBatchIsComputedAgainByTheNextRun) {
  Ingest(0, 3);
  Start();
  ASSERT_TRUE(Post(Picture(5)).ok());
  adder_ = nullptr;
  const auto batches = *ListAll(home_->objects(), kYoungPrefix);
  ASSERT_THAT(batches, SizeIs(1));
  std::string bytes(AsText(home_->objects().Get(batches[0].key)->bytes()));
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(home_->objects().Put(batches[0].key, AsBytes(bytes)).ok());
  Restart();
  EXPECT_EQ(YoungBatches(), 0u);
  EXPECT_EQ(Build().work.computed, 3u);
  ASSERT_TRUE(service_->Reload().ok());
  ExpectAll({0, 1, 2, 5});
}

}  // namespace
}  // namespace likeness
