// End to end: add, fingerprint and index a folder of pictures, against the bare loop of decode and extraction, of
// every feature of a default home.
//
//   bench_ingest [FOLDER]      default: the products of the evaluation data
//
// Both run on all processors, in turn, and their medians are compared. The answer is checked: every picture is in the
// release, and a picture that asks for itself comes first.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "bench/data.h"
#include "bench/report.h"
#include "image/decode.h"
#include "pipeline/add.h"
#include "pipeline/features.h"
#include "serve/search_service.h"

namespace likeness {
namespace {

constexpr int kRounds = 3;
constexpr double kRateBar = 60;        // images a second
constexpr double kOverheadBar = 0.25;  // of the bare loop's time
constexpr double kAgainBar = 1;        // seconds for 10,000 files that have not changed

// Seconds for reading and decoding every picture and computing all features of it, with nothing else. Batches are those
// that the extractors like best.
double BareLoop(const std::vector<std::filesystem::path>& pictures, const Extractors& extractors, size_t threads) {
  size_t batch = 1;
  for (const auto& extractor : extractors) batch = std::max(batch, extractor->batch());
  const Stopwatch watch;
  ParallelFor((pictures.size() + batch - 1) / batch, threads, [&](size_t i) {
    std::vector<Pixels> decoded;
    for (size_t p = i * batch; p < std::min(pictures.size(), (i + 1) * batch); ++p) {
      const auto bytes = ReadFile(pictures[p]);
      if (!bytes.ok()) continue;
      auto pixels = DecodeImage(AsBytes(*bytes), {}, kStandardSize);
      if (pixels.ok()) decoded.push_back(*std::move(pixels));
    }
    for (const auto& extractor : extractors) {
      if (!extractor->Extract(decoded).ok()) BenchFail("an extractor failed");
    }
  });
  return watch.Milliseconds() / 1000;
}

struct Ingest {
  double seconds = 0;
  uint64_t images = 0;
  double again_seconds = 0;  // to add the same folder once more
  bool right = false;
};

Ingest WholePipeline(const std::filesystem::path& folder, const std::filesystem::path& picture) {
  const ScratchHome scratch("ingest");
  const Stopwatch watch;
  const IngestedHome ingested = IngestFolders(scratch.path(), {folder});
  Home& home = *ingested.home;
  Ingest result;
  result.seconds = watch.Milliseconds() / 1000;
  result.images = ingested.images;

  const Stopwatch again;
  const auto nothing = AddFolder(home, folder, {false, home.config().threads}, {});
  result.again_seconds = again.Milliseconds() / 1000;
  const auto service = SearchService::Open(home, 1);
  const auto bytes = ReadFile(picture);
  SearchRequest request;
  request.image = AsBytes(*bytes);
  const auto answer = (*service)->Search(request);
  result.right = nothing.ok() && nothing->read == 0 && answer.ok() && !answer->results.empty() &&
                 answer->results[0].hit.score.value > 0.999f;
  return result;
}

int Run(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> pictures;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) pictures.push_back(entry.path());
  }
  std::ranges::sort(pictures);
  const ScratchHome scratch("bare");
  const auto home = Home::Open(scratch.path(), /*create=*/true);
  if (!home.ok()) BenchFail(MessageOf(home.status()));
  const auto extractors = CurrentExtractors(**home);
  if (!extractors.ok()) BenchFail(MessageOf(extractors.status()));
  const size_t threads = AvailableThreads();
  BenchReport report("ingest");
  std::vector<double> bare, whole, again;
  Ingest last;
  bool right = true;
  for (int round = 0; round < kRounds; ++round) {
    bare.push_back(BareLoop(pictures, *extractors, threads));
    last = WholePipeline(folder, pictures[pictures.size() / 2]);
    whole.push_back(last.seconds);
    again.push_back(last.again_seconds);
    right &= last.right;
    BenchReport::Say("round " + std::to_string(round + 1) + ": bare " + std::to_string(bare.back()) + " s, whole " +
                     std::to_string(whole.back()) + " s");
  }
  const double count = static_cast<double>(pictures.size());
  report.Add({.name = "images", .value = static_cast<double>(last.images), .unit = "images", .right = right});
  report.Add(
      {.name = "end_to_end", .value = count / Median(whole), .unit = "images/s", .bar = kRateBar, .right = right});
  report.Add({.name = "bare_loop", .value = count / Median(bare), .unit = "images/s"});
  report.Add({.name = "overhead",
              .value = Median(whole) / Median(bare) - 1,
              .unit = "of the bare loop's time",
              .bar = kOverheadBar,
              .better = BenchResult::Better::kLower,
              .right = right});
  report.Add({.name = "unchanged_add_of_10000",
              .value = Median(again) * 10'000 / count,
              .unit = "s",
              .bar = kAgainBar,
              .better = BenchResult::Better::kLower,
              .right = right});
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  return likeness::Run(argc > 1 ? std::filesystem::path(argv[1]) : likeness::BenchData() / "products" / "images");
}
