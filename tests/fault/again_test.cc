// What is there already is not touched: by the next day's pictures, or by a new version of another feature.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "pipeline/add.h"
#include "pipeline/features.h"
#include "pipeline/fingerprint.h"
#include "serve/search_service.h"
#include "store/object_keys.h"
#include "tests/fault/collection.h"
#include "tests/support/scratch_folder.h"

namespace likeness {
namespace {

// So long after the collection was made.
class DaysLater final : public Clock {
 public:
  explicit DaysLater(int days) : time_(Epoch::Parse("2026-11-22")->day() + std::chrono::days(days)) {}
  std::chrono::system_clock::time_point Now() const override { return time_; }

 private:
  std::chrono::system_clock::time_point time_;
};

// When each file of the objects was last written, by key.
std::map<std::string, std::filesystem::file_time_type> WrittenAt(const Home& home, const std::string& below) {
  std::map<std::string, std::filesystem::file_time_type> written;
  const auto objects = home.path() / "objects";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(objects / below)) {
    if (entry.is_regular_file()) written[entry.path().lexically_relative(objects)] = entry.last_write_time();
  }
  return written;
}

double SecondsOfWork(Home& home) {
  double seconds = 0;
  for (const FeatureRate& rate : *home.catalog().Rates()) seconds += rate.seconds;
  return seconds;
}

CollectionOptions Options() {
  CollectionOptions options;
  options.chunk_images = 512;
  options.part_images = 512;
  return options;
}

void Index(Home& home) {
  const auto built = BuildFeatures(home, *CurrentFeatures(home));
  ASSERT_TRUE(built.ok()) << built.status();
  const auto index = BuildIndex(home, *built, {});
  ASSERT_TRUE(index.ok()) << index.status();
}

TEST(NextDay, OnlyTheNewEpochIsComputedAndLittleElseIsDone) {
  auto pictures = ProductPictures(FullRun() ? 4500 : 1000);
  if (pictures.empty()) GTEST_SKIP();
  constexpr int kDays = 3;
  const size_t more = pictures.size() / 100, before = pictures.size() - kDays * more;
  const std::vector<std::filesystem::path> late(pictures.begin() + static_cast<std::ptrdiff_t>(before), pictures.end());
  pictures.resize(before);
  const ScratchFolder scratch;
  const auto home = MakeCollection(scratch.path() / "home", pictures, Options());
  ASSERT_NE(home, nullptr);
  const auto extractors = CurrentExtractors(*home);
  ASSERT_TRUE(extractors.ok()) << extractors.status();
  ASSERT_TRUE(RunFingerprint(*home, *extractors, {}).ok());

  // One worker and one thread: what is not decoding and extraction is the pipeline's own. The least of some days
  // counts, since a busy machine only adds to it.
  double least = 1e9;
  for (int day = 0; day < kDays; ++day) {
    const auto written = WrittenAt(*home, ".");
    std::stringstream lines;
    for (size_t i = 0; i < more; ++i) lines << late[static_cast<size_t>(day) * more + i].string() << "\n";
    ASSERT_TRUE(AddLines(*home, lines, "/", {}, {}, DaysLater(day + 1)).ok());
    const double work_before = SecondsOfWork(*home);
    const Stopwatch watch;
    const auto report = RunFingerprint(*home, *extractors, {});
    const double outside = watch.Milliseconds() / 1e3 - (SecondsOfWork(*home) - work_before);
    ASSERT_TRUE(report.ok()) << report.status();
    std::cout << "a day's " << more << " images after " << before << ": " << outside << " s outside extraction\n";
    least = std::min(least, outside);
    EXPECT_EQ(report->plan.new_images, more);
    EXPECT_EQ(report->plan.images, more);
    EXPECT_EQ(report->work.decoded, more);
    EXPECT_EQ(report->work.computed, 2 * more);
    EXPECT_EQ(report->join.joined, 2u);
    EXPECT_EQ(report->materialised.shards, 1u);
    auto now = WrittenAt(*home, ".");
    for (const auto& [key, when] : written) EXPECT_EQ(now[key], when) << key << " was written again";
  }
  EXPECT_LT(least, 1 + 1e-3 * static_cast<double>(more));
}

TEST(NewVersion, OfOneFeatureLeavesTheOtherAloneAndQueriesGoOn) {
  const auto pictures = ProductPictures(FullRun() ? 4500 : 500);
  if (pictures.empty()) GTEST_SKIP();
  const ScratchFolder scratch;
  const auto home = MakeCollection(scratch.path() / "home", pictures, Options());
  ASSERT_NE(home, nullptr);
  ASSERT_TRUE(RunFingerprint(*home, *CurrentExtractors(*home), {}).ok());
  Index(*home);
  const auto before = *CurrentFeatures(*home);
  const std::string deep = FeaturePrefix(before[0]);
  const auto written = WrittenAt(*home, "features");
  const auto outputs = Outputs(*home);

  const auto service = SearchService::Open(*home, 1);
  ASSERT_TRUE(service.ok()) << service.status();
  const Signature wanted = home->catalog().ShardSignatures(home->catalog().Shards()->front().id)->front();
  std::atomic<bool> stop{false};
  std::atomic<int> asked{0}, failed{0};
  std::thread queries([&] {
    while (!stop) {
      SearchRequest request;
      request.signature = wanted;
      const auto answer = (*service)->Search(request);
      if (!answer.ok() || answer->results.empty() || answer->results[0].hit.signature != wanted) {
        if (failed++ == 0) std::cout << answer.status() << "\n";
      }
      ++asked;
      if (asked % 20 == 0) (void)(*service)->Reload();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });

  // Another precision makes another version of the deep feature.
  auto other = Home::Open(home->path(), false);
  ASSERT_TRUE(other.ok()) << other.status();
  auto after = before;
  for (const Precision precision : {Precision::kF32, Precision::kBf16}) {
    if (after[0] != before[0]) break;  // the other one is what it had
    (*other)->mutable_config().precision = precision;
    after = *CurrentFeatures(**other);
  }
  ASSERT_NE(after[0], before[0]);
  ASSERT_EQ(after[1], before[1]);
  const auto report = RunFingerprint(**other, *CurrentExtractors(**other), {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->work.computed, pictures.size()) << "exactly the one feature";
  Index(**other);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  ASSERT_TRUE((*service)->Reload().ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  stop = true;
  queries.join();
  EXPECT_GT(asked, 20);
  EXPECT_EQ(failed, 0);
  std::cout << asked << " queries went on meanwhile\n";

  const auto now = Outputs(**other);
  auto written_now = WrittenAt(**other, "features");
  for (const auto& [key, when] : written) EXPECT_EQ(written_now[key], when) << key << " was written again";
  size_t of_deep = 0;
  for (const auto& [key, digest] : outputs) {
    EXPECT_EQ(now.at(key), digest) << key;
    of_deep += key.starts_with(deep);
  }
  for (const auto& [key, digest] : now) {
    if (key.starts_with("features/") && !outputs.contains(key)) {
      EXPECT_TRUE(key.starts_with(FeaturePrefix(after[0]))) << key << " is new";
      --of_deep;
    }
  }
  EXPECT_EQ(of_deep, 0u) << "the new version has as many shards as the old one";
}

}  // namespace
}  // namespace likeness
