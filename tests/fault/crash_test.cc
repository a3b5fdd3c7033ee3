// A picture whose extractor ends the process is found by halving, and is the only one without a feature.
//
// This program is the test, and the worker of the test too: it starts itself, as `likeness fingerprint` does, with the
// arguments of `likeness worker`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/bytes.h"
#include "cli/work_json.h"
#include "cli/worker_process.h"
#include "feature/hash.h"
#include "image/decode.h"
#include "pipeline/features.h"
#include "pipeline/fingerprint.h"
#include "pipeline/parts.h"
#include "store/feature_shard.h"
#include "store/object_keys.h"
#include "tests/fault/collection.h"
#include "tests/support/scratch_folder.h"

namespace likeness {
namespace {

using testing::HasSubstr;

constexpr const char* kBadPixels = "LIKENESS_TEST_BAD_PIXELS";  // digest of the pixels that end the process

std::string DigestOf(const Pixels& pixels) { return Sha256Hex(std::as_bytes(std::span(pixels.rgb))); }

// One byte of a picture; of one picture nothing, and nothing of all else that the process has in hand.
class Crashing final : public Extractor {
 public:
  const FeatureKey& key() const override { return key_; }
  FeatureLayout layout() const override { return {Dtype::kU8, 1, false}; }
  size_t batch() const override { return 4; }
  absl::StatusOr<std::vector<FeatureValue>> Extract(std::span<const Pixels> pictures) const override {
    std::vector<FeatureValue> values;
    for (const Pixels& picture : pictures) {
      const std::string digest = DigestOf(picture);
      if (digest == bad_) std::abort();
      values.emplace_back(std::vector<std::byte>{static_cast<std::byte>(digest[0])});
    }
    return values;
  }

 private:
  const FeatureKey key_ = {"crashing", std::string(16, '0')};
  const std::string bad_ = std::getenv(kBadPixels) == nullptr ? "" : std::getenv(kBadPixels);
};

Extractors OurExtractors() { return {std::make_shared<Crashing>(), MakeHashExtractor()}; }

int Worker(const std::filesystem::path& path) {
  const rlimit none = {0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  const auto home = Home::Open(path, false);
  if (!home.ok()) return 1;
  std::ofstream(path / "started", std::ios::app) << "x";
  WorkReport report;
  const absl::Status status =
      RunWorker(**home, OurExtractors(), {.name = WorkerName(), .until_idle = true}, {}, report);
  std::printf("%s\n", WorkJson(report).dump().c_str());
  return status.ok() ? 0 : 1;
}

TEST(Crash, APictureThatEndsItsWorkerIsFoundAndQuarantined) {
  const auto pictures = ProductPictures(100);
  if (pictures.empty()) GTEST_SKIP();
  const ScratchFolder scratch;
  CollectionOptions options;
  options.chunk_images = 32;
  options.part_images = 64;
  const auto home = MakeCollection(scratch.path() / "home", pictures, options);
  ASSERT_NE(home, nullptr);
  const Extractors extractors = OurExtractors();
  ASSERT_TRUE(RunPlan(*home, KeysOf(extractors), {}).ok());  // makes the shards
  const ShardId shard = home->catalog().Shards()->front().id;
  const auto signatures = *home->catalog().ShardSignatures(shard);
  ASSERT_EQ(signatures.size(), pictures.size());
  const Signature bad = signatures[45];
  const auto bytes = home->ReadImage(**home->catalog().Image(bad));
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto pixels = DecodeImage(AsBytes(*bytes), home->config().image, Crashing().decode_size());
  ASSERT_TRUE(pixels.ok()) << pixels.status();
  ASSERT_EQ(::setenv(kBadPixels, DigestOf(*pixels).c_str(), 1), 0);

  const auto work = [&](const PlanReport& plan, const RunControl& control, WorkReport& report) {
    return RunWorkerProcess(home->path(), {}, plan, control, report);
  };
  FingerprintReport report;
  report.features = KeysOf(extractors);
  const auto plan = RunPlan(*home, report.features, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const absl::Status worked = work(*plan, {}, report.work);
  ASSERT_TRUE(worked.ok()) << worked;

  // A chunk of 32 is halved 5 times, then it is one image with two features, then one feature: 7 levels of 3 attempts.
  const auto starts = std::filesystem::file_size(home->path() / "started");
  const uint64_t levels = static_cast<uint64_t>(std::bit_width(options.chunk_images)) + 1;
  EXPECT_LE(starts - 1, levels * kMaxAttempts) << "workers that it ended";
  std::printf("%llu workers were ended\n", static_cast<unsigned long long>(starts - 1));

  const auto joined = RunJoin(*home, report.features, {});
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->joined, 2u);
  EXPECT_EQ(RunPlan(*home, report.features, {})->images, 0u);
  for (const FeatureKey& key : report.features) {
    const auto blob = home->objects().Get(FeatureShardKey(key, shard));
    ASSERT_TRUE(blob.ok()) << blob.status();
    const auto whole = FeatureShard::Open(*blob);
    ASSERT_TRUE(whole.ok()) << whole.status();
    EXPECT_EQ(whole->size(), pictures.size());
    for (size_t i = 0; i < whole->size(); ++i) {
      const bool lacks = !whole->has_value(i);
      EXPECT_EQ(lacks, key.type == "crashing" && whole->signatures()[i] == bad) << i;
    }
  }
  const auto quarantine = *home->catalog().Quarantine(10);
  ASSERT_EQ(quarantine.size(), 1u);
  EXPECT_THAT(quarantine[0].reason, HasSubstr("crashing"));
  EXPECT_THAT(quarantine[0].reason, HasSubstr("ended its worker 3 times"));
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  const std::span arguments(argv, static_cast<size_t>(argc));
  const auto is_worker = [](const char* argument) { return std::string_view(argument) == "worker"; };
  if (std::ranges::any_of(arguments, is_worker)) return likeness::Worker(argv[2]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
