// All features of a picture from one decode, and a worker that computes them for many pictures.
//
// First: JPEG bytes of 1024 x 768 to the values of every type (the deep default model, color, pdq, and local where a
// vocabulary is found), the decode shared, in batches as the worker has them. Times are processor time, on one thread
// and on two at once, so that what else the machine does is not counted; each round is a fresh look at all files, and
// the figures are medians over rounds. A value that is missing or not of its layout makes the result wrong.
//
// Then a worker, as `likeness worker` is, over so many files that its memory would show a leak: the resident memory of
// the process while it works, sampled ten times a second; the first tenth of the samples is the start and left out.
//
//   --pictures N   of the worker (20000); 0 leaves that part out
//   --rounds N     of the first part (5)
//   --threads N    of the worker (2)
#include "pipeline/features.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <map>
#include <numeric>
#include <thread>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/free_memory.h"
#include "bench/data.h"
#include "bench/flags.h"
#include "bench/pictures.h"
#include "bench/report.h"
#include "feature/vocabulary.h"
#include "image/decode.h"
#include "pipeline/add.h"
#include "pipeline/fingerprint.h"
#include "pipeline/work.h"
#include "store/safetensors.h"

namespace likeness {
namespace {

struct Flags {
  size_t pictures = 20000;
  size_t rounds = 5;
  size_t threads = 2;
};

// A home that computes everything that can be computed here.
std::unique_ptr<Home> OpenHome(const std::filesystem::path& path, size_t threads) {
  const bool local = FindVocabulary(path).ok();
  const std::string toml = "threads = " + std::to_string(threads) +
                           "\n[features]\ntypes = [\"deep\", \"color\", \"pdq\"" + (local ? ", \"local\"" : "") + "]\n";
  if (!local) BenchReport::Say("no vocabulary is found: without local features");
  const absl::Status written = WriteFileAtomic(path / "likeness.toml", AsBytes(toml));
  if (!written.ok()) BenchFail(MessageOf(written));
  auto home = Home::Open(path, /*create=*/true);
  if (!home.ok()) BenchFail(MessageOf(home.status()));
  return *std::move(home);
}

bool RightSize(const FeatureValue& value, const FeatureLayout& layout) {
  if (!value.ok()) return false;
  const size_t row = layout.dimension * DtypeSize(layout.dtype);
  return layout.ragged ? value->size() % row == 0 : value->size() == row;
}

// Seconds of the calling thread by stage: "decode", and the type of each feature.
struct Times {
  std::map<std::string, double> seconds;
  size_t wrong = 0;
  double total() const {
    return std::accumulate(seconds.begin(), seconds.end(), 0.0, [](double sum, auto& one) { return sum + one.second; });
  }
};

Times OneRound(const Extractors& extractors, const std::vector<std::string>& jpegs) {
  Times times;
  std::vector<DecodeSize> sizes;
  size_t batch = 1;
  for (const auto& extractor : extractors) {
    batch = std::max(batch, extractor->batch());
    if (std::ranges::find(sizes, extractor->decode_size()) == sizes.end()) sizes.push_back(extractor->decode_size());
  }
  for (size_t begin = 0; begin < jpegs.size(); begin += batch) {
    const size_t count = std::min(batch, jpegs.size() - begin);
    std::vector<std::vector<Pixels>> decoded(sizes.size());
    double start = ThreadSeconds();
    for (size_t i = begin; i < begin + count; ++i) {
      for (size_t s = 0; s < sizes.size(); ++s) {
        auto pixels = DecodeImage(AsBytes(jpegs[i]), {}, sizes[s]);
        if (!pixels.ok()) BenchFail(MessageOf(pixels.status()));
        decoded[s].push_back(*std::move(pixels));
      }
    }
    times.seconds["decode"] += ThreadSeconds() - start;
    for (const auto& extractor : extractors) {
      const auto at = std::ranges::find(sizes, extractor->decode_size()) - sizes.begin();
      start = ThreadSeconds();
      const auto values = extractor->Extract(decoded[static_cast<size_t>(at)]);
      times.seconds[extractor->key().type] += ThreadSeconds() - start;
      if (!values.ok()) BenchFail(MessageOf(values.status()));
      for (const FeatureValue& value : *values) times.wrong += RightSize(value, extractor->layout()) ? 0 : 1;
    }
  }
  return times;
}

void MeasureRates(const Extractors& extractors, const Flags& flags, BenchReport& report) {
  const std::vector<std::string> jpegs = MakeBenchJpegs();
  const double images = static_cast<double>(jpegs.size());
  OneRound(extractors, jpegs);
  std::vector<double> one, two;
  std::map<std::string, std::vector<double>> stages;
  size_t wrong = 0;
  for (size_t round = 0; round < flags.rounds; ++round) {
    const Times times = OneRound(extractors, jpegs);
    one.push_back(images / times.total());
    wrong += times.wrong;
    for (const auto& [stage, seconds] : times.seconds) stages[stage].push_back(seconds / images);
    // Both go over all files at the same time; the slower of the two, twice.
    Times first, second;
    std::thread other([&] { second = OneRound(extractors, jpegs); });
    first = OneRound(extractors, jpegs);
    other.join();
    two.push_back(2 * images / std::max(first.total(), second.total()));
    wrong += first.wrong + second.wrong;
  }
  report.Add({.name = "one_core", .value = Median(one), .unit = "images/s", .bar = 20, .right = wrong == 0});
  report.Add({.name = "two_cores", .value = Median(two), .unit = "images/s", .bar = 38, .right = wrong == 0});
  double sum = 0;
  for (const auto& [stage, seconds] : stages) sum += Median(seconds);
  for (const auto& [stage, seconds] : stages) {
    report.Add({.name = "ms." + stage, .value = 1e3 * Median(seconds), .unit = "ms an image"});
    report.Add({.name = "share." + stage, .value = 100 * Median(seconds) / sum, .unit = "% of the time"});
  }
}

// The JPEG with a comment that holds `number`: the same picture, other bytes.
std::string Numbered(const std::string& jpeg, uint64_t number) {
  char comment[16];
  const int length = std::snprintf(comment, sizeof(comment), "%08llu", static_cast<unsigned long long>(number));
  const std::string head{'\xFF', '\xFE', '\0', static_cast<char>(length + 2)};
  return jpeg.substr(0, 2) + head + std::string(comment, static_cast<size_t>(length)) + jpeg.substr(2);
}

double ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  double total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

void MeasureWorker(Home& home, const Extractors& extractors, const std::filesystem::path& folder, const Flags& flags,
                   BenchReport& report) {
  const std::vector<std::string> jpegs = MakeBenchJpegs({.count = 48, .width = 640, .height = 480, .quality = 80});
  BenchReport::Say("writing " + std::to_string(flags.pictures) + " files");
  for (size_t i = 0; i < flags.pictures; ++i) {
    const auto path = folder / std::to_string(i / 1000) / (std::to_string(i) + ".jpg");
    const absl::Status written = WriteFileAtomic(path, AsBytes(Numbered(jpegs[i % jpegs.size()], i)));
    if (!written.ok()) BenchFail(MessageOf(written));
  }
  const auto added = AddFolder(home, folder, {false, flags.threads}, {});
  if (!added.ok()) BenchFail(MessageOf(added.status()));

  std::vector<double> samples;
  double seconds = 0;
  WorkReport done;
  const auto work = [&](const PlanReport&, const RunControl& control, WorkReport& worked) {
    std::atomic<bool> ended = false;
    std::thread sampler([&] {
      while (!ended) {
        samples.push_back(ResidentBytes());
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    });
    const Stopwatch watch;
    const absl::Status status =
        RunWorker(home, extractors, {.name = WorkerName(), .until_idle = true}, control, worked);
    seconds += watch.Milliseconds() / 1e3;
    ended = true;
    sampler.join();
    done = worked;
    return status;
  };
  const auto run = RunFingerprint(home, KeysOf(extractors), work, {});
  if (!run.ok()) BenchFail(MessageOf(run.status()));

  if (samples.size() < 20) BenchFail("the worker was done before its memory could be watched: give more --pictures");
  const auto begin = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 10);
  const auto middle = begin + (samples.end() - begin) / 2;
  const auto mean = [](auto from, auto to) { return std::accumulate(from, to, 0.0) / static_cast<double>(to - from); };
  const bool right = done.decoded == flags.pictures && done.quarantined == 0 && added->images == flags.pictures;
  report.Add({.name = "worker.pictures", .value = static_cast<double>(done.decoded), .unit = "images"});
  report.Add({.name = "worker.rate",
              .value = static_cast<double>(done.decoded) / seconds,
              .unit = "images/s of 640 x 480, wall time, " + std::to_string(flags.threads) + " threads"});
  report.Add({.name = "worker.resident",
              .value = *std::ranges::max_element(samples) / 1e9,
              .unit = "GB at most",
              .bar = 1.5,
              .better = BenchResult::Better::kLower,
              .right = right});
  report.Add({.name = "worker.second_half",
              .value = mean(middle, samples.end()) / mean(begin, middle),
              .unit = "of the first half's memory",
              .bar = 1.05,
              .better = BenchResult::Better::kLower,
              .right = right});
}

Flags ParseFlags(int argc, char** argv) {
  Flags flags;
  ReadBenchFlags(argc, argv,
                 {{"--pictures", &flags.pictures, 0}, {"--rounds", &flags.rounds}, {"--threads", &flags.threads}});
  return flags;
}

int Run(int argc, char** argv) {
  const Flags flags = ParseFlags(argc, argv);
  BenchReport report("features");
  const ScratchHome scratch("features");
  const auto home = OpenHome(scratch.path(), flags.threads);
  LimitHeaps(flags.threads);  // as the command `worker` does
  const auto extractors = CurrentExtractors(*home);
  if (!extractors.ok()) BenchFail(MessageOf(extractors.status()));
  MeasureRates(*extractors, flags, report);
  if (flags.pictures > 0) MeasureWorker(*home, *extractors, scratch.path() / "pictures", flags, report);
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) { return likeness::Run(argc, argv); }
