// Workers that vanish: what a run makes does not depend on who dies in it, and when.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <iostream>
#include <random>
#include <thread>

#include "base/clock.h"
#include "pipeline/features.h"
#include "tests/fault/collection.h"
#include "tests/support/scratch_folder.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::vector<FeatureRate> RatesOf(Home& home) { return home.catalog().Rates().value_or(std::vector<FeatureRate>{}); }

TEST(Workers, FiftyKillsLoseNothingAndDoubleNothing) {
  const auto pictures = ProductPictures(FullRun() ? 4500 : 500);
  if (pictures.empty()) GTEST_SKIP();
  const int wanted = FullRun() ? 50 : 10;
  const ScratchFolder scratch;
  CollectionOptions options;
  options.shard_images = pictures.size() / 3 + 1;
  const auto expected = Undisturbed(scratch.path() / "reference", pictures, options);
  ASSERT_FALSE(expected.empty());
  const uint64_t seed = std::random_device{}();
  int kills = 0;
  // A fast machine may be done before the last kill: then again, on a home of its own.
  for (int round = 0; kills < wanted && round < 40; ++round) {
    std::cout << "seed " << seed + static_cast<uint64_t>(round) << ", " << kills << " kills so far\n";
    const auto path = scratch.path() / ("home" + std::to_string(round));
    const auto home = MakeCollection(path, pictures, options);
    ASSERT_NE(home, nullptr);
    const auto plan = RunPlan(*home, *CurrentFeatures(*home), {});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_EQ(plan->images, pictures.size());
    const int landed = KillWorkers(*home, 2, wanted - kills, seed + static_cast<uint64_t>(round));
    kills += landed;
    const auto stats = *home->queue().Stats();
    EXPECT_LE(stats.delivered - stats.acknowledged, static_cast<uint64_t>(landed)) << "chunks that were done again";
    for (const FeatureRate& rate : RatesOf(*home)) {
      EXPECT_LE(rate.images, pictures.size()) << rate.feature.ToString() << " was put, and computed again";
    }
    Finish(*home);
    EXPECT_EQ(Outputs(*home), expected);
    std::cout << landed << " kills, " << stats.delivered << " deliveries of " << plan->chunks << " chunks\n";
    std::filesystem::remove_all(path);
    if (HasFailure()) return;
  }
  EXPECT_EQ(kills, wanted);
}

TEST(Workers, ASpotNoticeGivesTheLeaseBackAtOnce) {
  const auto pictures = ProductPictures(2000);
  if (pictures.empty()) GTEST_SKIP();
  const ScratchFolder scratch;
  CollectionOptions options;
  options.chunk_images = 100'000;  // one chunk, in which the worker is found
  options.lease_seconds = 3600;
  const auto home = MakeCollection(scratch.path() / "home", pictures, options);
  ASSERT_NE(home, nullptr);
  ASSERT_TRUE(RunPlan(*home, *CurrentFeatures(*home), {}).ok());
  const auto worker = StartWorker(home->path());
  while (worker->Running() && RatesOf(*home).empty()) std::this_thread::sleep_for(milliseconds(10));
  ASSERT_TRUE(worker->Running()) << "it was done before it could be told";
  ASSERT_EQ(home->queue().Stats()->leased, 1u);
  worker->Signal(SIGTERM);
  const Stopwatch watch;
  const auto lease = home->queue().Pull("another", seconds(60), seconds(5));
  ASSERT_TRUE(lease.ok() && lease->has_value()) << lease.status();
  EXPECT_LT(watch.Milliseconds(), 1000);
  EXPECT_EQ((*lease)->attempt, 1u) << "it is no fault of the chunk";
  EXPECT_EQ(worker->Wait(), 0);
  std::cout << "the lease was back after " << watch.Milliseconds() << " ms\n";
}

}  // namespace
}  // namespace likeness
