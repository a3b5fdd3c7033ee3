// The graph index under filters that keep 0.1 % to 99 %, and with half of all deleted: recall, and how much slower than
// without. The codes are those of bench/graph.cc.
//
//   bench_filter [ROWS]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/random.h"
#include "bench/codes.h"
#include "bench/report.h"
#include "index/graph.h"
#include "index/nearest.h"

namespace likeness {
namespace {

constexpr size_t kQueries = 1000, kBest = 10;
constexpr int kRounds = 3;

struct Filter {
  std::string name;
  double share = 1;
  std::vector<double> p99 = {};  // microseconds, of each round
  double recall = 0;
};

int Run(size_t rows) {
  BenchReport report("filter");
  const CodeSet set{.rows = rows, .centers = std::max<size_t>(rows / 100, 1)};
  const Codes codes = MakeCodes(set, set.rows, 1), queries = MakeCodes(set, kQueries, 2);
  const size_t words = set.bits / 64;
  const std::vector<std::byte> graph = MakeGraph({codes, words}, {}, {.threads = 2});
  DeepColumn column;
  column.shape = {static_cast<uint32_t>(set.bits), 1};
  column.doc_count = rows;
  column.codes = codes;
  column.graph = *GraphView::Read(graph, rows, words);

  std::vector<Filter> filters{{"all", 1}};
  for (const double percent : {0.1, 0.3, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 70.0, 90.0, 99.0}) {
    char name[40];
    std::snprintf(name, sizeof(name), "keeps_%g_percent", percent);
    filters.push_back({name, percent / 100});
  }
  filters.push_back({"half_deleted", 0.5});
  // Every query of every filter in turn, so that what else the machine does falls on all alike.
  Random random(3);
  std::vector<DocSet> allowed;
  for (const Filter& filter : filters) {
    DocSet& set_of = allowed.emplace_back(rows);
    for (uint32_t row = 0; row < rows; ++row) {
      if (random.Unit() < filter.share) set_of.Set(DocId(row));
    }
  }
  std::vector<std::vector<uint32_t>> last(filters.size(), std::vector<uint32_t>(kQueries));
  for (size_t f = 0; f < filters.size(); ++f) {
    for (size_t q = 0; q < kQueries; ++q) {
      SearchStats stats;
      const auto query = std::span(queries).subspan(q * words, words);
      const NearestOptions options{.k = kBest, .allowed = f == 0 ? nullptr : &allowed[f], .exact = true};
      last[f][q] = NearestCodes(column, query, options, stats)->back().distance.bits;
    }
  }
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::vector<double>> times(filters.size());
    for (size_t q = 0; q < kQueries; ++q) {
      const auto query = std::span(queries).subspan(q * words, words);
      for (size_t f = 0; f < filters.size(); ++f) {
        const NearestOptions options{.k = kBest, .allowed = f == 0 ? nullptr : &allowed[f]};
        SearchStats stats;
        const double start = ThreadSeconds();
        const auto near = NearestCodes(column, query, options, stats);
        times[f].push_back(1e6 * (ThreadSeconds() - start));
        for (const Neighbor& one : *near) filters[f].recall += one.distance.bits <= last[f][q] ? 1 : 0;
      }
    }
    for (size_t f = 0; f < filters.size(); ++f) {
      filters[f].p99.push_back(Percentile(times[f], 99));
      if (round == 0) {
        char line[120];
        std::snprintf(line, sizeof(line), "%-20s p50 %.0f us, p99 %.0f us", filters[f].name.c_str(), Median(times[f]),
                      Percentile(times[f], 99));
        BenchReport::Say(line);
      }
    }
  }
  report.Add({.name = "all_p99", .value = Median(filters[0].p99), .unit = "us", .better = BenchResult::Better::kLower});
  for (Filter& filter : filters) {
    report.Add({.name = filter.name + "_recall",
                .value = filter.recall / static_cast<double>(kBest * kQueries * kRounds),
                .unit = "recall@10",
                .bar = 0.97});
    if (filter.name == "all") continue;
    report.Add({.name = filter.name + "_p99",
                .value = Median(filter.p99) / Median(filters[0].p99),
                .unit = "times that without a filter",
                .bar = 3,
                .better = BenchResult::Better::kLower});
  }
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  return likeness::Run(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : size_t{1'000'000});
}
