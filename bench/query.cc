// Queries as a user makes them: a picture uploaded over HTTP to a real server, until the answer is read.
//
//   bench_query [--small | --million]
//
// Small: the 4,500 products, and 10,000 images (all of the evaluation data, filled up with generated pictures) for the
// cold start: from starting the program to its first answer. Million: bench/million_queries.h. Without a flag both.
// Homes are kept in build/release/bench-homes, for computing them takes minutes; their first use makes them.

#include <algorithm>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "bench/ask.h"
#include "bench/data.h"
#include "bench/flags.h"
#include "bench/million_queries.h"
#include "bench/report.h"
#include "bench/server.h"
#include "image/encode.h"

namespace likeness {
namespace {

constexpr int kQueries = 200;
constexpr int kColdStarts = 7;
constexpr size_t kColdImages = 10'000;
constexpr double kQueryBar = 40;       // ms, p50
constexpr double kOwnBar = 8;          // ms, p50, outside of inference
constexpr double kColdStartBar = 500;  // ms

std::vector<std::filesystem::path> FilesBelow(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() != ".jsonl" && entry.path().extension() != ".md") {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

// Pictures of smooth random color, so that a collection has a round number of images.
void FillUp(const std::filesystem::path& folder, size_t count) {
  Random random(1);
  for (size_t n = 0; n < count; ++n) {
    Pixels pixels{64, 64, std::vector<uint8_t>(64 * 64 * 3), 64, 64};
    const uint64_t seed = random();
    for (size_t i = 0; i < pixels.rgb.size(); ++i) {
      pixels.rgb[i] = static_cast<uint8_t>((seed >> (i % 3 * 8)) + i / 192 * (seed >> 24 & 3) + i % 192 / 3);
    }
    const auto jpeg = EncodeJpeg(pixels, 80);
    if (!jpeg.ok() || !WriteFileAtomic(folder / (std::to_string(n) + ".jpg"), AsBytes(*jpeg)).ok()) {
      BenchFail("cannot write pictures to " + folder.string());
    }
  }
}

void MeasureQueries(const std::filesystem::path& home, const std::vector<std::filesystem::path>& pictures,
                    BenchReport& report) {
  const BenchServer server(LIKENESS_BINARY, home);
  std::vector<double> total, own, feature;
  bool right = true;
  for (int i = -10; i < kQueries; ++i) {
    const auto& path = pictures[static_cast<size_t>(i + 10) * 7919 % pictures.size()];
    const auto picture = ReadFile(path);
    const Stopwatch watch;
    const nlohmann::json answer = Ask(server.port(), *picture);
    const double ms = watch.Milliseconds();
    right &= FoundItself(answer);
    if (i < 0 || !right) continue;  // warm
    const double inference = answer["ms"]["feature"].get<double>();
    total.push_back(ms);
    feature.push_back(inference);
    own.push_back(ms - inference);
  }
  if (total.empty()) BenchFail("the server gives wrong answers");
  using enum BenchResult::Better;
  report.Add({.name = "upload_to_answer_p50",
              .value = Median(total),
              .unit = "ms",
              .bar = kQueryBar,
              .better = kLower,
              .right = right});
  report.Add(
      {.name = "upload_to_answer_p99", .value = Percentile(total, 99), .unit = "ms", .better = kLower, .right = right});
  report.Add({.name = "inference_p50", .value = Median(feature), .unit = "ms", .better = kLower});
  report.Add(
      {.name = "own_code_p50", .value = Median(own), .unit = "ms", .bar = kOwnBar, .better = kLower, .right = right});
}

void MeasureColdStart(const std::filesystem::path& home, const std::string& picture, BenchReport& report) {
  std::vector<double> times;
  bool right = true;
  for (int i = 0; i < kColdStarts; ++i) {
    const Stopwatch watch;
    const BenchServer server(LIKENESS_BINARY, home);
    right &= FoundItself(Ask(server.port(), picture));
    times.push_back(watch.Milliseconds());
  }
  report.Add({.name = "cold_start_to_first_answer",
              .value = Median(times),
              .unit = "ms",
              .bar = kColdStartBar,
              .better = BenchResult::Better::kLower,
              .right = right});
}

void MeasureSmall(BenchReport& report) {
  const std::filesystem::path data = BenchData(), homes = LIKENESS_BENCH_HOMES;
  const std::filesystem::path products = data / "products" / "images";
  const std::vector<std::filesystem::path> pictures = FilesBelow(products);
  IngestFolders(homes / "products", {products});
  const size_t real = FilesBelow(data).size();
  const auto filling = homes / "filling";
  if (!std::filesystem::exists(filling)) FillUp(filling, real < kColdImages ? kColdImages - real : 0);
  IngestFolders(homes / "cold", {data / "products" / "images", data / "clothing", data / "ccp" / "photos", filling});
  MeasureQueries(homes / "products", pictures, report);
  MeasureColdStart(homes / "cold", *ReadFile(pictures[0]), report);
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  bool small = false, million = false;
  likeness::ReadBenchFlags(argc, argv, {{"--small", &small}, {"--million", &million}});
  likeness::BenchReport report("query");
  if (small || !million) likeness::MeasureSmall(report);
  if (million || !small) likeness::MeasureMillion(LIKENESS_BINARY, LIKENESS_BENCH_HOMES, report);
  return report.Finish();
}
