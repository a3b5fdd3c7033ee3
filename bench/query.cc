// Queries as a user makes them: a picture uploaded over HTTP to a real server, until the answer is read.
//
//   bench_query [--million] [--keep]
//
// Two collections: the 4,500 products, and 10,000 images (all of the evaluation data, filled up with generated
// pictures) for the cold start: from starting the program to its first answer. Homes are kept in build/bench-homes, for
// computing them takes minutes; their first use makes them.
//
// --million: instead, a collection of a million (LIKENESS_BENCH_IMAGES: another number) with VGG-16's fc6 and codes of
// 4096 bits (bench/million.h), asked by two cores' worth of clients for a hundred results each. It takes 5 GB of disk
// for as long as it runs, or with --keep for good.

#include <algorithm>
#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "bench/data.h"
#include "bench/million.h"
#include "bench/report.h"
#include "bench/server.h"
#include "image/encode.h"

namespace likeness {
namespace {

namespace http = boost::beast::http;
using tcp = boost::asio::ip::tcp;

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

// One upload on a connection of its own, until the answer is read.
nlohmann::json Ask(int number, const std::string& body, const std::string& target = "/v1/search?k=24",
                   const char* type = "application/octet-stream") {
  const std::string port = std::to_string(number);
  boost::asio::io_context context;
  tcp::socket socket(context);
  boost::asio::connect(socket, tcp::resolver(context).resolve("127.0.0.1", port));
  http::request<http::string_body> request(http::verb::post, target, 11);
  request.set(http::field::host, "127.0.0.1:" + port);
  request.set(http::field::content_type, type);
  request.body() = body;
  request.prepare_payload();
  http::write(socket, request);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  http::read(socket, buffer, response);
  return nlohmann::json::parse(response.body(), nullptr, /*allow_exceptions=*/false);
}

bool FoundItself(const nlohmann::json& answer) {
  return answer.is_object() && answer.contains("results") && !answer["results"].empty() &&
         answer["results"][0]["score"].get<double>() > 0.999;
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

constexpr const char* kHundred = "/v1/search?k=100";

// `clients` ask at once, each anew as soon as it has its answer; seconds of the wall.
double MeasureRate(int port, const std::vector<std::string>& pictures, size_t clients, size_t queries, bool& right) {
  std::atomic<size_t> next{0}, wrong{0};
  std::vector<std::thread> threads;
  const Stopwatch watch;
  for (size_t c = 0; c < clients; ++c) {
    threads.emplace_back([&] {
      for (size_t i = next++; i < queries; i = next++) {
        if (!FoundItself(Ask(port, pictures[i % pictures.size()], kHundred))) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  right = right && wrong == 0;
  return watch.Milliseconds() / 1000;
}

int RunMillion(bool keep) {
  const char* wanted = std::getenv("LIKENESS_BENCH_IMAGES");
  const size_t images = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 1'000'000;
  const std::filesystem::path home = std::filesystem::path(LIKENESS_BENCH_HOMES) / "million";
  std::vector<std::filesystem::path> paths = FilesBelow(BenchData() / "products" / "images");
  if (images == 0 || paths.size() < 100) BenchFail("there is nothing to ask");
  std::vector<std::filesystem::path> chosen;
  for (size_t i = 0; i < 100; ++i) chosen.push_back(paths[i * (paths.size() / 100)]);
  MakeMillion(home, chosen, images);
  std::vector<std::string> pictures;
  for (const auto& path : chosen) pictures.push_back(*ReadFile(path));

  BenchReport report("query");
  using enum BenchResult::Better;
  const std::string known = nlohmann::json{{"signature", Signature::Of(AsBytes(pictures[0])).Hex()}, {"k", 100}}.dump();
  bool right = true;
  std::vector<double> starts, uploads;
  for (int i = 0; i < kColdStarts; ++i) {
    const Stopwatch watch;
    const BenchServer server(LIKENESS_BINARY, home);
    right &= FoundItself(Ask(server.port(), known, "/v1/search", "application/json"));
    starts.push_back(watch.Milliseconds());
    right &= FoundItself(Ask(server.port(), pictures[1], kHundred));
    uploads.push_back(watch.Milliseconds());
  }
  report.Add({.name = "million_cold_start",
              .value = Median(starts),
              .unit = "ms to the first answer, for a picture of the collection",
              .bar = 300,
              .better = kLower,
              .right = right});
  report.Add({.name = "million_cold_start_upload",
              .value = Median(uploads),
              .unit = "ms to the first answer, for an upload, which VGG-16 is made ready for",
              .better = kLower,
              .right = right});

  const BenchServer server(LIKENESS_BINARY, home);
  std::vector<double> total, feature, decode, search;
  for (size_t i = 0; i < 10 + 200; ++i) {
    const Stopwatch watch;
    const nlohmann::json answer = Ask(server.port(), pictures[i % pictures.size()], kHundred);
    const double ms = watch.Milliseconds();
    right &= FoundItself(answer) && answer["results"].size() == 100;
    if (i < 10 || !right) continue;  // warm
    total.push_back(ms);
    decode.push_back(answer["ms"]["decode"].get<double>());
    feature.push_back(answer["ms"]["feature"].get<double>());
    search.push_back(answer["ms"]["search"].get<double>());
  }
  if (total.empty()) BenchFail("the server gives wrong answers");
  report.Add(
      {.name = "million_p50", .value = Median(total), .unit = "ms", .bar = 60, .better = kLower, .right = right});
  report.Add({.name = "million_p99",
              .value = Percentile(total, 99),
              .unit = "ms",
              .bar = 120,
              .better = kLower,
              .right = right});
  report.Add({.name = "million_decode_p50", .value = Median(decode), .unit = "ms", .better = kLower});
  report.Add({.name = "million_feature_p50", .value = Median(feature), .unit = "ms", .better = kLower});
  report.Add({.name = "million_search_p50", .value = Median(search), .unit = "ms", .better = kLower});
  constexpr size_t kClients = 4, kAsked = 240;
  const double seconds = MeasureRate(server.port(), pictures, kClients, kAsked, right);
  report.Add({.name = "million_rate", .value = kAsked / seconds, .unit = "queries/s", .bar = 30, .right = right});
  const int code = report.Finish();
  if (!keep) std::filesystem::remove_all(home);
  return code;
}

int Run() {
  const std::filesystem::path data = BenchData(), homes = LIKENESS_BENCH_HOMES;
  const std::filesystem::path products = data / "products" / "images";
  const std::vector<std::filesystem::path> pictures = FilesBelow(products);
  IngestFolders(homes / "products", {products});
  const size_t real = FilesBelow(data).size();
  const auto filling = homes / "filling";
  if (!std::filesystem::exists(filling)) FillUp(filling, real < kColdImages ? kColdImages - real : 0);
  IngestFolders(homes / "cold", {data / "products" / "images", data / "clothing", data / "ccp" / "photos", filling});

  BenchReport report("query");
  MeasureQueries(homes / "products", pictures, report);
  MeasureColdStart(homes / "cold", *ReadFile(pictures[0]), report);
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  bool million = false, keep = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    million = million || flag == "--million";
    keep = keep || flag == "--keep";
    if (flag != "--million" && flag != "--keep") likeness::BenchFail("bench_query does not know " + std::string(flag));
  }
  return million ? likeness::RunMillion(keep) : likeness::Run();
}
