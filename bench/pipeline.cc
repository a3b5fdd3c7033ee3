// What the fingerprint run costs beside the work itself, and what S3 costs beside a folder.
//
//   bench_pipeline [--images N] [--rounds N]
//
// - Overhead: plan, work and join by one worker of one thread, against a bare loop of reading, decoding and extracting
//   in the same process over the same pictures, in turns. The values must be the same.
// - S3: the same run with the pictures and the parts in an S3 gateway on loopback (scripts/engines, which is started
//   for the while where it does not run), against a folder. The objects must be the same.
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "bench/data.h"
#include "bench/flags.h"
#include "bench/report.h"
#include "image/decode.h"
#include "pipeline/add.h"
#include "pipeline/fingerprint.h"
#include "store/feature_shard.h"
#include "support/engines.h"

namespace likeness {
namespace {

constexpr double kOverheadBar = 0.03, kS3Bar = 0.80;
constexpr size_t kChunk = 512;

struct Arguments {
  size_t images = kChunk;
  size_t rounds = 5;
};

void Must(const absl::Status& status, const char* what) {
  if (!status.ok()) BenchFail(std::string(what) + ": " + MessageOf(status));
}

template <typename Value>
Value Must(absl::StatusOr<Value> value, const char* what) {
  Must(value.status(), what);
  return *std::move(value);
}

// Seconds that pass but for those in which this thread waits for a processor that a neighbor has, and those that the
// process computes.
struct Spent {
  double wall = 0, computing = 0;
};

template <typename Work>
Spent Timed(const Work& work) {
  const auto computing = [] {
    timespec time;
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  };
  const auto waiting = [] {  // "RUNNING WAITING SLICES", in nanoseconds; where the system does not count, nothing
    std::ifstream file("/proc/thread-self/schedstat");
    double ran = 0, waited = 0;
    file >> ran >> waited;
    return waited / 1e9;
  };
  const Stopwatch watch;
  const double before = computing(), waited = waiting();
  work();
  return {watch.Milliseconds() / 1e3 - (waiting() - waited), computing() - before};
}

std::vector<std::filesystem::path> Pictures(size_t count) {
  std::vector<std::filesystem::path> pictures;
  for (const auto& entry : std::filesystem::directory_iterator(BenchData() / "products" / "images")) {
    pictures.push_back(entry.path());
  }
  std::ranges::sort(pictures);
  if (pictures.size() < count) BenchFail("products/ has fewer pictures than that");
  pictures.resize(count);
  return pictures;
}

std::unique_ptr<Home> MakeHome(const std::filesystem::path& path, const std::string& objects,
                               const std::vector<std::filesystem::path>& pictures, bool copy) {
  std::ostringstream toml;
  toml << "threads = 1\n[features]\ntypes = [\"deep\", \"pdq\"]\n[fingerprint]\nchunk_images = " << kChunk << "\n"
       << objects;
  std::filesystem::create_directories(path);
  Must(WriteFileAtomic(path / "likeness.toml", AsBytes(toml.str())), "writing likeness.toml");
  auto home = Must(Home::Open(path, true), "opening a home");
  std::stringstream lines;
  for (const auto& picture : pictures) lines << picture.string() << "\n";
  Must(AddLines(*home, lines, path, {.copy = copy, .threads = 4}, {}).status(), "adding pictures");
  return home;
}

// Jobs 1 to 4.
void Fingerprint(Home& home, const Extractors& extractors) {
  const auto keys = KeysOf(extractors);
  Must(RunPlan(home, keys, {}).status(), "plan");
  WorkReport report;
  Must(RunWorker(home, extractors, {.name = WorkerName(), .until_idle = true}, {}, report), "work");
  Must(RunJoin(home, keys, {}).status(), "join");
}

// The shards that the run has made, by key; takes them away, for the next run.
std::map<std::string, std::string> TakeFeatures(Home& home) {
  std::map<std::string, std::string> shards;
  for (const ObjectInfo& object : Must(ListAll(home.objects(), "features/"), "listing")) {
    shards[object.key] = std::string(AsText(Must(home.objects().Get(object.key), "reading").bytes()));
    Must(home.objects().Delete(object.key), "deleting");
  }
  return shards;
}

using Values = std::map<std::string, std::vector<std::byte>>;  // by feature and picture

// Nothing but what the values need.
Values BareLoop(const Home& home, const Extractors& extractors, const std::vector<std::filesystem::path>& pictures) {
  Values all;
  std::vector<DecodeSize> sizes;
  size_t batch = 1;
  for (const auto& extractor : extractors) {
    batch = std::max(batch, extractor->batch());
    if (std::ranges::find(sizes, extractor->decode_size()) == sizes.end()) sizes.push_back(extractor->decode_size());
  }
  for (size_t begin = 0; begin < pictures.size(); begin += batch) {
    const size_t end = std::min(pictures.size(), begin + batch);
    std::vector<std::vector<Pixels>> decoded(sizes.size());
    std::vector<std::string> names;
    for (size_t i = begin; i < end; ++i) {
      const std::string bytes = Must(ReadFile(pictures[i]), "reading a picture");
      for (size_t s = 0; s < sizes.size(); ++s) {
        decoded[s].push_back(Must(DecodeImage(AsBytes(bytes), home.config().image, sizes[s]), "decoding"));
      }
      names.push_back(Signature::Of(AsBytes(bytes)).Hex());
    }
    for (const auto& extractor : extractors) {
      const auto at = std::ranges::find(sizes, extractor->decode_size()) - sizes.begin();
      const auto values = Must(extractor->Extract(decoded[static_cast<size_t>(at)]), "extracting");
      for (size_t i = 0; i < values.size(); ++i) {
        if (values[i].ok()) all[extractor->key().type + " " + names[i]] = *values[i];
      }
    }
  }
  return all;
}

Values ValuesIn(const std::map<std::string, std::string>& shards) {
  Values all;
  for (const auto& [key, bytes] : shards) {
    const auto shard = Must(FeatureShard::Open(Blob::Of(bytes)), "opening a shard");
    for (size_t i = 0; i < shard.size(); ++i) {
      if (!shard.has_value(i)) continue;
      const auto value = shard.value(i);
      all[shard.info().feature.type + " " + shard.signatures()[i].Hex()] = {value.begin(), value.end()};
    }
  }
  return all;
}

void MeasureOverhead(const Arguments& arguments, const std::vector<std::filesystem::path>& pictures,
                     BenchReport& report) {
  const ScratchHome scratch("pipeline");
  const auto home = MakeHome(scratch.path(), "", pictures, false);
  const auto extractors = Must(CurrentExtractors(*home), "loading the features");
  Values expected = BareLoop(*home, extractors, pictures);  // warms the files and the model
  bool right = !expected.empty();
  std::vector<double> wall, computing, rates;
  for (size_t round = 0; round < arguments.rounds; ++round) {
    Values bare_values;
    Spent bare, run;
    const auto go_bare = [&] { bare = Timed([&] { bare_values = BareLoop(*home, extractors, pictures); }); };
    const auto go_run = [&] { run = Timed([&] { Fingerprint(*home, extractors); }); };
    if (round % 2 == 0)
      go_bare(), go_run();
    else
      go_run(), go_bare();
    right = right && ValuesIn(TakeFeatures(*home)) == expected && bare_values == expected;
    wall.push_back(run.wall / bare.wall - 1);
    computing.push_back(run.computing / bare.computing - 1);
    rates.push_back(static_cast<double>(pictures.size()) / run.wall);
    BenchReport::Say("bare " + std::to_string(bare.wall) + " s, run " + std::to_string(run.wall) + " s; computing " +
                     std::to_string(bare.computing) + " s and " + std::to_string(run.computing) + " s");
  }
  const auto lower = BenchResult::Better::kLower;
  report.Add({.name = "overhead",
              .value = Median(wall),
              .unit = "of the bare loop",
              .bar = kOverheadBar,
              .better = lower,
              .right = right});
  report.Add({.name = "overhead_computing", .value = Median(computing), .unit = "of the bare loop", .better = lower});
  report.Add({.name = "rate", .value = Median(rates), .unit = "images/s, one thread"});
}

void MeasureS3(const Arguments& arguments, const std::vector<std::filesystem::path>& pictures, BenchReport& report) {
  bool started = false;
  if (!EngineSetting("LIKENESS_TEST_S3_ENDPOINT")) started = Engines("start s3 >&2");
  const auto endpoint = EngineSetting("LIKENESS_TEST_S3_ENDPOINT");
  if (!endpoint) {
    BenchReport::Say("no S3: scripts/engines cannot start its gateway here");
    return;
  }
  ::setenv("AWS_ACCESS_KEY_ID", EngineSetting("LIKENESS_TEST_S3_ACCESS_KEY")->c_str(), 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", EngineSetting("LIKENESS_TEST_S3_SECRET_KEY")->c_str(), 1);
  {
    const ScratchHome scratch("pipeline_folder"), s3_scratch("pipeline_s3");
    const std::string prefix = "bench_" + s3_scratch.path().filename().string();
    const auto folder = MakeHome(scratch.path(), "", pictures, true);
    const auto s3 = MakeHome(s3_scratch.path(),
                             "[objects]\nurl = \"s3://" + *EngineSetting("LIKENESS_TEST_S3_BUCKET") + "/" + prefix +
                                 "\"\nendpoint = \"" + *endpoint + "\"\n",
                             pictures, true);
    const auto extractors = Must(CurrentExtractors(*folder), "loading the features");
    std::vector<double> shares, rates;
    bool right = true;
    for (size_t round = 0; round < arguments.rounds; ++round) {
      Spent of_folder, of_s3;
      const auto go_folder = [&] { of_folder = Timed([&] { Fingerprint(*folder, extractors); }); };
      const auto go_s3 = [&] { of_s3 = Timed([&] { Fingerprint(*s3, extractors); }); };
      if (round % 2 == 0)
        go_folder(), go_s3();
      else
        go_s3(), go_folder();
      right = right && TakeFeatures(*folder) == TakeFeatures(*s3);
      shares.push_back(of_folder.wall / of_s3.wall);
      rates.push_back(static_cast<double>(pictures.size()) / of_s3.wall);
      BenchReport::Say("folder " + std::to_string(of_folder.wall) + " s, S3 " + std::to_string(of_s3.wall) + " s");
    }
    for (const ObjectInfo& object : Must(ListAll(s3->objects(), ""), "listing")) (void)s3->objects().Delete(object.key);
    report.Add(
        {.name = "s3", .value = Median(shares), .unit = "of the folder's throughput", .bar = kS3Bar, .right = right});
    report.Add({.name = "s3_rate", .value = Median(rates), .unit = "images/s, one thread"});
  }
  if (started) Engines("wipe s3 >&2");
}

int Main(int argc, char** argv) {
  Arguments arguments;
  ReadBenchFlags(argc, argv, {{"--images", &arguments.images}, {"--rounds", &arguments.rounds}});
  BenchReport report("pipeline");
  const auto pictures = Pictures(arguments.images);
  MeasureOverhead(arguments, pictures, report);
  MeasureS3(arguments, pictures, report);
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) { return likeness::Main(argc, argv); }
