// Ten million images on one machine: what the catalog and the jobs around it cost when nothing is computed.
//
//   bench_scale [--images N] [--home FOLDER]      default: 10,000,000, in a scratch folder that is removed
//
// Images are synthetic: a signature, a place in a folder of a thousand with a name as cameras give them. The answers
// are checked: every image is in one shard, in order, and none twice.
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "bench/flags.h"
#include "bench/report.h"
#include "pipeline/collection_status.h"
#include "pipeline/join.h"
#include "pipeline/materialise.h"
#include "pipeline/parts.h"
#include "pipeline/plan.h"
#include "pipeline/shards.h"
#include "store/fingerprint_file.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

constexpr uint64_t kDefaultImages = 2'000'000;
constexpr double kTenMillion = 1e7;
constexpr size_t kBatch = 500'000;
constexpr double kPlanBar = 30, kStatusBar = 2;  // seconds for 10 million
constexpr double kCatalogBar = 150;              // bytes an image
constexpr double kMemoryBar = 2e9;               // bytes
constexpr double kRateBar = 200;                 // MB/s of what is written
constexpr uint64_t kPart = 8192;                 // images in a part

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

// Seconds that pass, and those that our threads compute: the first grow with the neighbors' work, the second do not.
class Meter {
 public:
  double Wall() const { return Seconds(watch_); }
  double Computing() const { return Used() - before_; }

 private:
  static double Used() {
    struct rusage usage;
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  const Stopwatch watch_;
  const double before_ = Used();
};

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

// What the feature of an image is: its signature backwards.
std::array<std::byte, 16> ValueOf(const Signature& signature) {
  std::array<std::byte, 16> value;
  std::ranges::reverse_copy(signature.bytes, value.begin());
  return value;
}

void PutParts(Home& home, const FeatureKey& feature) {
  const auto shards = Must(home.catalog().Shards(), "shards");
  for (const ShardRecord& shard : shards) {
    const EpochList list = Must(ReadEpochList(home, shard.id), "epoch list");
    const FeatureShardInfo info{feature, shard.id, {Dtype::kU8, 16, false}};
    for (uint64_t begin = 0; begin < shard.images; begin += kPart) {
      const uint64_t end = std::min(begin + kPart, shard.images);
      FeatureShardWriter writer(info);
      absl::Status status;
      for (uint64_t i = begin; i < end && status.ok(); ++i) {
        status = writer.Add(list.signatures()[i], {3000, 2000}, ValueOf(list.signatures()[i]));
      }
      if (status.ok()) status = PutPart(home, writer, info, {begin, end});
      if (!status.ok()) BenchFail(status.ToString());
    }
  }
}

double MegabytesBelow(Home& home, std::string_view prefix) {
  double bytes = 0;
  const auto objects = Must(ListAll(home.objects(), prefix), "list");
  for (const ObjectInfo& object : objects) bytes += static_cast<double>(object.size);
  return bytes / 1e6;
}

// Whether the fingerprint files hold the values.
bool FingerprintsAreRight(Home& home, const FeatureKey& feature, const std::string& generation) {
  const auto shards = Must(home.catalog().Shards(), "shards");
  for (const ShardRecord& shard : shards) {
    const auto path = Must(home.objects().LocalFile(FingerprintKey(generation, shard.id)), "fingerprints");
    const auto file = Must(FingerprintFile::Open(path), "fingerprints");
    if (file->size() != shard.images) return false;
    const EpochList list = Must(ReadEpochList(home, shard.id), "epoch list");
    for (uint64_t i = 0; i < shard.images; i += 4999) {
      const Signature& signature = list.signatures()[i];
      const Fingerprint found = Must(file->Get(signature), "fingerprint");
      const Fingerprint::Plain* plain = found.FindPlain(feature);
      if (plain == nullptr || !std::ranges::equal(AsBytes(plain->value), ValueOf(signature))) return false;
    }
  }
  return true;
}

int Run(uint64_t images, const std::filesystem::path& folder) {
  BenchReport report("scale");
  const double scale = static_cast<double>(images) / kTenMillion;
  auto home = Must(Home::Open(folder, true), "home");
  const Stopwatch fill;
  Fill(*home, images);
  report.Add({.name = "record", .value = static_cast<double>(images) / Seconds(fill), .unit = "images/s"});
  const std::vector<FeatureKey> features = {FeatureKey::Of("synthetic", "sixteen bytes")};

  const Meter plan;
  const PlanReport planned = Must(RunPlan(*home, features, {}), "plan");
  const double plan_seconds = plan.Wall(), plan_computing = plan.Computing();
  const bool right = planned.new_images == images && planned.images == images && ListsAreRight(*home, images);
  report.Add({.name = "plan_of_10000000",
              .value = plan_seconds / scale,
              .unit = "s",
              .bar = kPlanBar,
              .better = BenchResult::Better::kLower,
              .right = right});
  report.Add({.name = "plan_of_10000000_computing", .value = plan_computing / scale, .unit = "s of one core"});
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
  PutParts(*home, features[0]);
  const Meter join;
  const JoinReport joined = Must(RunJoin(*home, features, {}), "join");
  const double join_seconds = join.Wall(), join_computing = join.Computing();
  const double shard_megabytes = MegabytesBelow(*home, FeaturePrefix(features[0]));
  const auto shards = Must(home->catalog().Shards(), "shards");
  report.Add({.name = "join",
              .value = shard_megabytes / join_seconds,
              .unit = "MB/s",
              .bar = kRateBar,
              .right = joined.joined == shards.size() && joined.incomplete == 0});

  report.Add({.name = "join_computing", .value = shard_megabytes / join_computing, .unit = "MB a second of one core"});

  const std::vector<Release::Feature> built = {{features[0], ""}};
  const Meter materialise;
  const MaterialiseReport made = Must(MaterialiseFingerprints(*home, built, {}), "materialise");
  const double made_seconds = materialise.Wall(), made_computing = materialise.Computing();
  const double made_megabytes = MegabytesBelow(*home, "fingerprints/");
  report.Add({.name = "materialise",
              .value = made_megabytes / made_seconds,
              .unit = "MB/s",
              .bar = kRateBar,
              .right = made.images == images && FingerprintsAreRight(*home, features[0], GenerationOf(built))});
  report.Add(
      {.name = "materialise_computing", .value = made_megabytes / made_computing, .unit = "MB a second of one core"});
  report.Add({.name = "materialise_images", .value = static_cast<double>(images) / made_seconds, .unit = "images/s"});

  const double memory = PeakMemory();
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
  size_t images = likeness::kDefaultImages;
  std::filesystem::path folder;
  likeness::ReadBenchFlags(argc, argv, {{"--images", &images}, {"--home", &folder}});
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
