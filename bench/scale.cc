// Ten million images on one machine: what the catalog and the jobs around it cost when nothing is computed.
//
//   bench_scale [--images N] [--home FOLDER]      default: 10,000,000, in a scratch folder that is removed
//
// Images are synthetic: a signature, a place in a folder of a thousand with a name as cameras give them. The answers
// are checked: every image is in one shard, in order, and none twice.
#include <sys/resource.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "bench/report.h"
#include "pipeline/collection_status.h"
#include "pipeline/plan.h"
#include "pipeline/shards.h"

namespace likeness {
namespace {

constexpr uint64_t kDefaultImages = 10'000'000;
constexpr size_t kBatch = 100'000;
constexpr double kPlanBar = 30, kStatusBar = 2;  // seconds for 10 million
constexpr double kCatalogBar = 150;              // bytes an image
constexpr double kMemoryBar = 2e9;               // bytes

Signature SignatureOf(uint64_t number) {
  const std::string text = "image " + std::to_string(number);
  return Signature::Of(AsBytes(text));
}

Addition Synthetic(uint64_t number, Epoch epoch) {
  char path[96];
  std::snprintf(path, sizeof(path), "/srv/pictures/%04u/%03u/IMG_20261122_%06u.jpg",
                static_cast<unsigned>(number / 1'000'000), static_cast<unsigned>(number / 1000 % 1000),
                static_cast<unsigned>(number % 1'000'000));
  Addition addition;
  const Signature signature = SignatureOf(number);
  const uint64_t bytes = 100'000 + number * 7919 % 4'000'000;
  addition.source = {path, bytes, static_cast<int64_t>(1'700'000'000'000'000'000 + number * 1'234'567'891), signature,
                     ""};
  addition.image =
      ImageRecord{signature, "jpeg", bytes, 3000, 2000, epoch, std::nullopt, std::string("file:") + path, ""};
  return addition;
}

double MegabytesOfCatalog(const std::filesystem::path& home) {
  double bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(home)) {
    if (entry.path().filename().string().starts_with("catalog.sqlite")) bytes += static_cast<double>(entry.file_size());
  }
  return bytes / 1e6;
}

double PeakMemory() {
  struct rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

template <typename Value>
Value Must(absl::StatusOr<Value> value, const char* what) {
  if (!value.ok()) BenchFail(std::string(what) + ": " + value.status().ToString());
  return *std::move(value);
}

double Seconds(const Stopwatch& watch) { return watch.Milliseconds() / 1000; }

void Fill(Home& home, uint64_t images) {
  const Epoch epoch = *Epoch::Parse("2026-11-22");
  std::vector<Addition> additions;
  for (uint64_t number = 0; number < images; ++number) {
    additions.push_back(Synthetic(number, epoch));
    if (additions.size() < kBatch && number + 1 < images) continue;
    if (const absl::Status status = home.catalog().Record(additions); !status.ok()) BenchFail(status.ToString());
    additions.clear();
  }
}

// Whether each image is in exactly one list.
bool ListsAreRight(Home& home, uint64_t images) {
  std::vector<Signature> all;
  all.reserve(images);
  const auto shards = Must(home.catalog().Shards(), "shards");
  for (const ShardRecord& shard : shards) {
    const EpochList list = Must(ReadEpochList(home, shard.id), "epoch list");
    if (list.signatures().size() != shard.images || shard.images > home.config().shard_images) return false;
    all.insert(all.end(), list.signatures().begin(), list.signatures().end());
  }
  std::ranges::sort(all);
  if (all.size() != images || std::ranges::adjacent_find(all) != all.end()) return false;
  for (uint64_t number = 0; number < images; number += 9973) {
    if (!std::ranges::binary_search(all, SignatureOf(number))) return false;
  }
  return true;
}

int Run(uint64_t images, const std::filesystem::path& folder) {
  BenchReport report("scale");
  const double scale = static_cast<double>(images) / static_cast<double>(kDefaultImages);
  auto home = Must(Home::Open(folder, true), "home");
  const Stopwatch fill;
  Fill(*home, images);
  report.Add({.name = "record", .value = static_cast<double>(images) / Seconds(fill), .unit = "images/s"});
  const std::vector<FeatureKey> features = {FeatureKey::Of("synthetic", "sixteen bytes")};

  const Stopwatch plan;
  const PlanReport planned = Must(RunPlan(*home, features, {}), "plan");
  const double plan_seconds = Seconds(plan);
  const double memory = PeakMemory();
  const bool right = planned.new_images == images && planned.images == images && ListsAreRight(*home, images);
  report.Add({.name = "plan_of_10000000",
              .value = plan_seconds / scale,
              .unit = "s",
              .bar = kPlanBar,
              .better = BenchResult::Better::kLower,
              .right = right});
  const Stopwatch again;
  const PlanReport nothing = Must(RunPlan(*home, features, {}), "plan again");
  report.Add({.name = "plan_again", .value = Seconds(again), .unit = "s", .right = nothing.published == 0});

  const Stopwatch status;
  const CollectionStatus shown = Must(ReadCollectionStatus(*home), "status");
  report.Add({.name = "status",
              .value = Seconds(status),
              .unit = "s",
              .bar = kStatusBar,
              .better = BenchResult::Better::kLower,
              .right = shown.counts.images == images});
  home.reset();  // Empties the log into the file.
  report.Add({.name = "catalog",
              .value = MegabytesOfCatalog(folder) * 1e6 / static_cast<double>(images),
              .unit = "bytes an image",
              .bar = kCatalogBar,
              .better = BenchResult::Better::kLower});
  report.Add(
      {.name = "memory", .value = memory, .unit = "bytes", .bar = kMemoryBar, .better = BenchResult::Better::kLower});
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  uint64_t images = likeness::kDefaultImages;
  std::filesystem::path folder;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--images")
      images = std::strtoull(argv[i + 1], nullptr, 10);
    else if (flag == "--home")
      folder = argv[i + 1];
    else
      likeness::BenchFail("bench_scale knows --images N and --home FOLDER");
  }
  if (images == 0) likeness::BenchFail("--images must be a number above 0");
  const bool scratch = folder.empty();
  if (scratch) {
    std::string name = (std::filesystem::temp_directory_path() / "likeness_scale_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) likeness::BenchFail("cannot make a scratch folder");
    folder = name;
  }
  const int code = likeness::Run(images, folder);
  if (scratch) std::filesystem::remove_all(folder);
  return code;
}
