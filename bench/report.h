// What every benchmark prints: readable lines to standard error while it runs, and one JSON object as the last line of
// standard output, with the machine, and each result beside the bar it is held to.
//
//   BenchReport report("hamming");
//   report.Add({.name = "scan_1024", .value = 0.91, .unit = "of memory bandwidth", .bar = 0.80});
//   return report.Finish();
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace likeness {

struct BenchResult {
  enum class Better { kHigher, kLower };

  std::string name;  // unique in the benchmark
  double value = 0;
  std::string unit;
  std::optional<double> bar = std::nullopt;  // what the value must reach; nothing: reported only
  Better better = Better::kHigher;           // whether the value must be at least the bar, or at most
  bool right = true;                         // whether the answers were right: a fast wrong one fails, bar or not

  bool ok() const { return !bar || (right && (better == Better::kHigher ? value >= *bar : value <= *bar)); }
};

// Collects results. One thread.
class BenchReport {
 public:
  explicit BenchReport(std::string bench);

  // A line for people, to standard error.
  static void Say(std::string_view line);

  // Says the result too.
  void Add(BenchResult result);

  // Adds `right_answers`, the share of results that were right, with a bar of 1; prints the JSON object, in which a
  // wrong result has no value; and returns the exit code: 0, or 1 when a result is not ok or there is none.
  int Finish();

 private:
  std::string bench_;
  std::vector<BenchResult> results_;
  double load_;  // of the machine before the benchmark began, the average of a minute
};

// The middle value; the mean of the two middle ones when they are even in number. REQUIRES: not empty
double Median(std::vector<double> values);

// The value below which `percent` of 100 lie (nearest rank). REQUIRES: not empty
double Percentile(std::vector<double> values, double percent);

// Ends the program with exit code 2 and a sentence, for what a benchmark cannot do without.
[[noreturn]] void BenchFail(std::string_view sentence);

}  // namespace likeness
