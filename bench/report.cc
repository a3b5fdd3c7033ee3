#include "bench/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/thread_pool.h"

namespace likeness {
namespace {

// The first line of /proc/cpuinfo that begins with `field`, after the colon.
std::string CpuInfo(const std::string& field) {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with(field) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

double Load() {
  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  return load;
}

nlohmann::json Machine(double load) {
  nlohmann::json flags = nlohmann::json::array();
  std::istringstream words(CpuInfo("flags"));
  for (std::string word; words >> word;) {
    for (const char* known : {"avx2", "avx512f", "avx512_vpopcntdq", "avx512_vnni", "amx_bf16", "amx_int8"}) {
      if (word == known) flags.push_back(word);
    }
  }
  return {{"cpu", CpuInfo("model name")}, {"cores", AvailableThreads()}, {"flags", flags}, {"load", load}};
}

}  // namespace

BenchReport::BenchReport(std::string bench) : bench_(std::move(bench)), load_(Load()) {}

void BenchReport::Say(std::string_view line) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

void BenchReport::Add(BenchResult result) {
  char numbers[64];
  std::snprintf(numbers, sizeof(numbers), "%12.4g", result.value);
  std::string line = result.name + std::string(result.name.size() < 36 ? 36 - result.name.size() : 1, ' ') + numbers +
                     " " + result.unit;
  if (result.bar) {
    std::snprintf(numbers, sizeof(numbers), "%g", *result.bar);
    line += std::string(result.better == BenchResult::Better::kHigher ? ", at least " : ", at most ") + numbers;
  }
  if (!result.right) line += ", WRONG ANSWER";
  Say(line + (result.ok() ? "" : "  MISSED"));
  results_.push_back(std::move(result));
}

int BenchReport::Finish() {
  const auto right = std::count_if(results_.begin(), results_.end(), [](const BenchResult& r) { return r.right; });
  bool ok = !results_.empty();
  Add({.name = "right_answers",
       .value = ok ? static_cast<double>(right) / static_cast<double>(results_.size()) : 0,
       .unit = "of the results",
       .bar = 1});
  nlohmann::json results = nlohmann::json::array();
  for (const BenchResult& result : results_) {
    ok = ok && result.ok();
    results.push_back({{"name", result.name},
                       {"value", result.right ? nlohmann::json(result.value) : nlohmann::json()},
                       {"unit", result.unit},
                       {"bar", result.bar ? nlohmann::json(*result.bar) : nlohmann::json()},
                       {"better", result.better == BenchResult::Better::kHigher ? "higher" : "lower"},
                       {"ok", result.ok()}});
  }
  const nlohmann::json report{{"bench", bench_}, {"machine", Machine(load_)}, {"results", results}};
  std::printf("%s\n", report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  return ok ? 0 : 1;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double Percentile(std::vector<double> values, double percent) {
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(percent / 100 * static_cast<double>(values.size()));
  return values[std::clamp<size_t>(static_cast<size_t>(rank), 1, values.size()) - 1];
}

void BenchFail(std::string_view sentence) {
  BenchReport::Say(sentence);
  std::exit(2);
}

}  // namespace likeness
