// Pictures that come in while the collection is searched: how soon a new one is found, and what searches feel of it.
//
//   bench_online [SECONDS] [IMAGES]
//
// A real server on a copy of the 4,500 products (or so many of them), and a client on the same processors. Searches are
// uploads at a fixed rate, timed from when they were due, so that a server that stalls cannot hide it; additions are
// the pictures of clothing/ (longest side 320) at 50/s, due at fixed times too. Quiet and busy stretches take turns in
// one run.
#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "bench/data.h"
#include "bench/report.h"
#include "bench/server.h"
#include "image/encode.h"
#include "types/signature.h"

namespace likeness {
namespace {

using Time = std::chrono::steady_clock::time_point;
using nlohmann::json;

constexpr double kAddsPerSecond = 50, kSearchesPerSecond = 8;
constexpr int kTurns = 3;         // of quiet and busy
constexpr size_t kVariants = 40;  // new pictures that are looked for by a variant of theirs
constexpr double kFoundBar = 1000;
constexpr double kRatioBar = 2;

std::vector<std::string> PicturesBelow(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() != ".jsonl") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::vector<std::string> pictures;
  for (size_t i = 0; i < files.size(); ++i) {  // Neighbors in a folder are alike: take them far apart.
    if (auto bytes = ReadFile(files[i * 1009 % files.size()]); bytes.ok()) pictures.push_back(*std::move(bytes));
  }
  return pictures;
}

std::string Hex(const std::string& bytes) { return Signature::Of(AsBytes(bytes)).Hex(); }

// The signature of the best hit for an uploaded picture; empty when there was no answer.
std::string BestHit(httplib::Client& client, const std::string& picture) {
  const auto answer = client.Post("/v1/search?k=24", picture, "application/octet-stream");
  if (!answer || answer->status != 200) return "";
  const json body = json::parse(answer->body, nullptr, false);
  if (!body.is_object() || body["results"].empty()) return "";
  return body["results"][0]["signature"].get<std::string>();
}

// Calls due(i) at fixed times from `threads` threads, until `until`; late calls are made all the same.
void AtRate(double per_second, Time from, Time until, size_t threads,
            const std::function<void(httplib::Client&, size_t, Time)>& due, int port) {
  std::atomic<size_t> next = 0;
  std::vector<std::thread> workers;
  for (size_t t = 0; t < threads; ++t) {
    workers.emplace_back([&] {
      httplib::Client client("127.0.0.1", port);
      client.set_keep_alive(true);
      client.set_read_timeout(30);
      while (true) {
        const size_t i = next++;
        const Time when = from + std::chrono::duration_cast<std::chrono::nanoseconds>(
                                     std::chrono::duration<double>(static_cast<double>(i) / per_second));
        if (when >= until) return;
        std::this_thread::sleep_until(when);
        due(client, i, when);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
}

double Since(Time when) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - when).count();
}

struct Outcome {
  std::mutex mutex;
  std::vector<double> quiet, busy;   // ms of searches
  std::vector<double> added, found;  // ms from due to the POST's answer, from that to the search that finds it
  size_t sent = 0, refused = 0, lost = 0, wrong = 0, variants = 0;
};

void Searches(int port, const std::vector<std::string>& pictures, Time from, Time until, std::vector<double>& times,
              Outcome& outcome) {
  AtRate(
      kSearchesPerSecond, from, until, 16,
      [&](httplib::Client& client, size_t i, Time when) {
        const std::string& picture = pictures[i * 7919 % pictures.size()];
        const bool right = BestHit(client, picture) == Hex(picture);
        const double ms = Since(when);
        const std::lock_guard lock(outcome.mutex);
        times.push_back(ms);
        outcome.wrong += right ? 0 : 1;
      },
      port);
}

int Run(double seconds, size_t images) {
  const std::filesystem::path data = BenchData(), homes = LIKENESS_BENCH_HOMES;
  std::filesystem::path folder = data / "products" / "images", home = homes / "products";
  std::vector<std::string> known = PicturesBelow(folder);
  if (images > 0 && images < known.size()) {
    known.resize(images);
    home = homes / ("products" + std::to_string(images));
    folder = homes / ("pictures" + std::to_string(images));
    for (const std::string& picture : known) {
      if (!WriteFileAtomic(folder / (Hex(picture) + ".jpg"), AsBytes(picture)).ok()) BenchFail("cannot write pictures");
    }
  }
  IngestFolders(home, {folder});
  const std::vector<std::string> fresh = PicturesBelow(data / "clothing");
  const ScratchHome scratch("online");
  std::filesystem::copy(home, scratch.path(), std::filesystem::copy_options::recursive);
  const BenchServer server(LIKENESS_BINARY, scratch.path());
  Outcome outcome;
  {
    httplib::Client client("127.0.0.1", server.port());
    client.set_read_timeout(60);
    for (size_t i = 0; i < 20; ++i) (void)BestHit(client, known[i]);  // warm
    const auto added = client.Post("/v1/images", fresh.back(), "image/jpeg");
    if (!added || added->status != 201) BenchFail("a picture is not taken in: " + (added ? added->body : ""));
  }
  size_t next = 0;
  const size_t every = std::max<size_t>(1, static_cast<size_t>(kAddsPerSecond * seconds * kTurns / kVariants));
  const auto stretch = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
  for (int turn = 0; turn < kTurns; ++turn) {
    Time from = std::chrono::steady_clock::now();
    Searches(server.port(), known, from, from + stretch, outcome.quiet, outcome);
    from = std::chrono::steady_clock::now();
    const size_t base = next;
    std::thread adds([&] {
      // Half a second ahead, so that searches meet the load from their first on.
      AtRate(
          kAddsPerSecond, from, from + stretch, 64,
          [&](httplib::Client& client, size_t i, Time when) {
            const std::string& picture = fresh[(base + i) % (fresh.size() - 1)];
            const auto added = client.Post("/v1/images", picture, "image/jpeg");
            const double ms = Since(when);
            const Time answered = std::chrono::steady_clock::now();
            const bool taken = added && (added->status == 201 || added->status == 200);
            std::string best;
            double found = 0;
            const bool variant = taken && i % every == 0;
            if (variant) {
              const auto smaller = MakeThumbnail(AsBytes(picture), {}, 256);
              best = smaller.ok() ? BestHit(client, *smaller) : "";
              found = Since(answered);
            }
            const std::lock_guard lock(outcome.mutex);
            ++outcome.sent;
            outcome.refused += added && added->status == 503 ? 1 : 0;
            outcome.lost += !taken && !(added && added->status == 503) ? 1 : 0;
            if (taken) outcome.added.push_back(ms);
            if (variant) {
              ++outcome.variants;
              outcome.found.push_back(best == Hex(picture) ? found : 1e9);
            }
          },
          server.port());
    });
    Searches(server.port(), known, from, from + stretch, outcome.busy, outcome);
    adds.join();
    next += static_cast<size_t>(kAddsPerSecond * seconds) + 1;
    BenchReport::Say("turn " + std::to_string(turn) + ": quiet p99 " + std::to_string(Percentile(outcome.quiet, 99)) +
                     " ms, busy p99 " + std::to_string(Percentile(outcome.busy, 99)) + " ms, " +
                     std::to_string(outcome.added.size()) + " added, " + std::to_string(outcome.refused) + " refused");
  }
  if (outcome.added.empty() || outcome.found.empty()) BenchFail("no picture was taken in");

  BenchReport report("online");
  using enum BenchResult::Better;
  const bool right = outcome.lost == 0 && outcome.wrong == 0;
  report.Add({.name = "answered_to_found_by_a_variant_max",
              .value = *std::ranges::max_element(outcome.found),
              .unit = "ms",
              .bar = kFoundBar,
              .better = kLower,
              .right = right});
  report.Add({.name = "search_p99_busy_to_quiet",
              .value = Percentile(outcome.busy, 99) / Percentile(outcome.quiet, 99),
              .unit = "ratio",
              .bar = kRatioBar,
              .better = kLower,
              .right = right});
  report.Add({.name = "search_p50_quiet", .value = Median(outcome.quiet), .unit = "ms", .better = kLower});
  report.Add({.name = "search_p99_quiet", .value = Percentile(outcome.quiet, 99), .unit = "ms", .better = kLower});
  report.Add({.name = "search_p50_busy", .value = Median(outcome.busy), .unit = "ms", .better = kLower});
  report.Add({.name = "search_p99_busy", .value = Percentile(outcome.busy, 99), .unit = "ms", .better = kLower});
  report.Add({.name = "addition_p50", .value = Median(outcome.added), .unit = "ms", .better = kLower});
  report.Add({.name = "addition_p99", .value = Percentile(outcome.added, 99), .unit = "ms", .better = kLower});
  report.Add({.name = "additions_taken",
              .value = static_cast<double>(outcome.added.size()) / static_cast<double>(outcome.sent),
              .unit = "share of 50/s"});
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  return likeness::Run(argc > 1 ? std::atof(argv[1]) : 15, argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0);
}
