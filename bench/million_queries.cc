#include "bench/million_queries.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "bench/ask.h"
#include "bench/files.h"
#include "bench/million.h"
#include "bench/pictures.h"
#include "bench/server.h"
#include "types/signature.h"

namespace likeness {
namespace {

constexpr const char* kHundred = "/v1/search?k=100";
constexpr size_t kImages = 1'000'000, kPictures = 100;
constexpr size_t kQueries = 200;
constexpr int kColdStarts = 5, kColdUploads = 3;
constexpr double kRate = 30, kSeconds = 20;
constexpr size_t kClients = 8, kFlood = 400;
constexpr double kP50 = 60, kP99 = 120, kColdStart = 300;  // ms

using enum BenchResult::Better;

// What queries took, with the answers held to what they must say. A server may send some away when too many come at
// once, and says so; where there is a bar it may not.
struct Times {
  std::mutex mutex;
  std::vector<double> total, decode, feature, search, rest;
  size_t refused = 0;
  bool right = true;

  void Add(double ms, const nlohmann::json& answer) {
    const std::lock_guard lock(mutex);
    if (answer.is_object() && answer.contains("error") && answer["error"]["code"] == "unavailable") {
      ++refused;
      return;
    }
    total.push_back(ms);
    right = right && FoundItself(answer) && answer["results"].size() == 100 &&
            answer["coverage"]["searched"] == answer["coverage"]["images"];
    if (!right) return;
    const auto& own = answer["ms"];
    decode.push_back(own["decode"].get<double>());
    feature.push_back(own["feature"].get<double>());
    search.push_back(own["search"].get<double>());
    rest.push_back(ms - decode.back() - feature.back() - search.back());
  }

  void Report(const std::string& name, bool barred, BenchReport& report) const {
    const std::optional<double> p50 = barred ? std::optional(kP50) : std::nullopt;
    const std::optional<double> p99 = barred ? std::optional(kP99) : std::nullopt;
    const bool right = this->right && (refused == 0 || !barred);
    report.Add(
        {.name = name + "_p50", .value = Median(total), .unit = "ms", .bar = p50, .better = kLower, .right = right});
    report.Add({.name = name + "_p99",
                .value = Percentile(total, 99),
                .unit = "ms",
                .bar = p99,
                .better = kLower,
                .right = right});
    if (barred) return;
    const auto asked = static_cast<double>(total.size() + refused);
    report.Add({.name = name + "_refused",
                .value = 100 * static_cast<double>(refused) / asked,
                .unit = "% sent away, to be asked again",
                .better = kLower});
  }
};

void MeasureColdStarts(const char* program, const std::filesystem::path& home, const std::vector<std::string>& jpegs,
                       BenchReport& report) {
  const std::string known = nlohmann::json{{"signature", Signature::Of(AsBytes(jpegs[0])).Hex()}, {"k", 100}}.dump();
  bool right = true, uploads_right = true;
  std::vector<double> starts, uploads;
  IntoPageCache(home);
  for (int i = 0; i < kColdStarts; ++i) {
    const Stopwatch watch;
    const BenchServer server(program, home);
    right &= FoundItself(Ask(server.port(), known, "/v1/search", "application/json"));
    starts.push_back(watch.Milliseconds());
  }
  for (int i = 0; i < kColdUploads; ++i) {
    const Stopwatch watch;
    const BenchServer server(program, home);
    uploads_right &= FoundItself(Ask(server.port(), jpegs[1], kHundred));
    uploads.push_back(watch.Milliseconds());
  }
  report.Add({.name = "million_cold_start",
              .value = Median(starts),
              .unit = "ms to the first answer, for a picture of the collection",
              .bar = kColdStart,
              .better = kLower,
              .right = right});
  report.Add({.name = "million_cold_start_upload",
              .value = Median(uploads),
              .unit = "ms to the first answer, for an upload, which 553 MB of weights are read for",
              .better = kLower,
              .right = uploads_right});
}

// Asks at the given moments, seconds from now.
void AskAt(int port, const std::vector<std::string>& jpegs, const std::vector<double>& moments, Times& times) {
  const auto start = std::chrono::steady_clock::now();
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 64; ++t) {  // more than ever wait at once: nobody asks late
    threads.emplace_back([&] {
      for (size_t i = next++; i < moments.size(); i = next++) {
        const auto due =
            start + std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(moments[i]));
        std::this_thread::sleep_until(due);
        const nlohmann::json answer = Ask(port, jpegs[i % jpegs.size()], kHundred);
        times.Add(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - due).count(), answer);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void MeasureRates(const BenchServer& server, const std::vector<std::string>& jpegs, BenchReport& report) {
  const int port = server.port();
  std::vector<double> even, drawn;
  Random random(5);
  double at = 0;
  for (size_t i = 0; i < static_cast<size_t>(kRate * kSeconds); ++i) {
    even.push_back(static_cast<double>(i) / kRate);
    at -= std::log(1 - random.Unit()) / kRate;
    drawn.push_back(at);
  }
  Times evenly, randomly, flood;
  AskAt(port, jpegs, even, evenly);
  evenly.Report("million_at_30_a_second", true, report);
  AskAt(port, jpegs, drawn, randomly);
  randomly.Report("million_at_30_a_second_at_random", false, report);

  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  const double cpu = server.CpuSeconds();
  const Stopwatch watch;
  for (size_t c = 0; c < kClients; ++c) {
    threads.emplace_back([&] {
      for (size_t i = next++; i < kFlood; i = next++) {
        const Stopwatch one;
        const nlohmann::json answer = Ask(port, jpegs[i % jpegs.size()], kHundred);
        flood.Add(one.Milliseconds(), answer);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = watch.Milliseconds() / 1000;
  report.Add({.name = "million_cpu_of_a_query_of_many",
              .value = (server.CpuSeconds() - cpu) / kFlood * 1000,
              .unit = "ms of one core",
              .better = kLower});
  report.Add({.name = "million_rate",
              .value = static_cast<double>(kFlood) / seconds,
              .unit = "queries/s, eight clients",
              .bar = kRate,
              .right = flood.right && flood.refused == 0});
}

}  // namespace

void MeasureMillion(const char* program, const std::filesystem::path& homes, BenchReport& report) {
  const char* wanted = std::getenv("LIKENESS_BENCH_IMAGES");
  const size_t images = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : kImages;
  if (images == 0) BenchFail("LIKENESS_BENCH_IMAGES is no number above 0");
  const std::filesystem::path home = homes / (images == kImages ? "million" : "million-" + std::to_string(images));
  const std::vector<std::string> jpegs = MakeBenchJpegs({.count = kPictures});
  MakeMillion(home, jpegs, images);

  MeasureColdStarts(program, home, jpegs, report);
  IntoPageCache(home);
  const BenchServer server(program, home);
  Times alone, unused;
  double cpu = 0;
  for (size_t i = 0; i < 20 + kQueries; ++i) {
    if (i == 20) cpu = server.CpuSeconds();
    const Stopwatch watch;
    const nlohmann::json answer = Ask(server.port(), jpegs[i % jpegs.size()], kHundred);
    (i < 20 ? unused : alone).Add(watch.Milliseconds(), answer);
  }
  if (!alone.right) BenchFail("the server gives wrong answers");
  cpu = (server.CpuSeconds() - cpu) / kQueries * 1000;
  alone.Report("million_one_by_one", true, report);
  report.Add({.name = "million_cpu_of_a_query", .value = cpu, .unit = "ms of one core", .better = kLower});
  report.Add({.name = "million_decode_p50", .value = Median(alone.decode), .unit = "ms", .better = kLower});
  report.Add({.name = "million_feature_p50", .value = Median(alone.feature), .unit = "ms", .better = kLower});
  report.Add({.name = "million_search_p50", .value = Median(alone.search), .unit = "ms", .better = kLower});
  report.Add({.name = "million_rest_p50", .value = Median(alone.rest), .unit = "ms", .better = kLower});
  MeasureRates(server, jpegs, report);
}

}  // namespace likeness
