// The graph index under filters that keep 0.1 % to 99 %, and with half of all deleted: recall, and how much slower than
// without. The codes are those of bench/graph.cc.
//
//   bench_filter [--rows N] [--bits N] [--kind centers|latent|random] [--k N] [--queries N]
//
// Every filter is asked many times, as that of a board or of what is deleted is; "new" filters, which nobody asked
// before, are shown beside. And beside filters by lot there are those that know the codes: whole groups (the lists of
// some pivots) are kept, as "board = shoes" does, and the query lies in one of the groups, or in none of them. In these
// codes all other groups are equally far from it, so that one in none has neighbors as in codes without any order.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "bench/codes.h"
#include "bench/flags.h"
#include "bench/report.h"
#include "index/graph.h"
#include "index/nearest.h"

namespace likeness {
namespace {

constexpr int kRounds = 5;

struct Arguments {
  CodeSet set;
  size_t queries = 500;
  size_t k = 10;
};

struct Filter {
  std::string name;
  DocSet allowed;
  std::vector<uint32_t> queries = {};           // that it is asked with
  bool new_each_time = false;                   // a copy that nobody has asked before
  std::optional<double> bar = 3;                // times the p99 without a filter
  std::vector<uint32_t> last = {};              // distance of the k-th nearest, by place in `queries`
  std::vector<std::vector<double>> times = {};  // microseconds, by place in `queries`: of each round
  double recall = 0;
  double compared = 0;
};

class FilterBench {
 public:
  FilterBench(const Arguments& arguments, BenchReport& report)
      : arguments_(arguments),
        report_(report),
        words_(arguments.set.bits / 64),
        codes_(MakeCodes(arguments.set, arguments.set.rows, 1)),
        queries_(MakeCodes(arguments.set, arguments.queries, 2)) {
    graph_ = MakeGraph({codes_, words_}, {}, {.threads = 2});
    column_.shape = {static_cast<uint32_t>(arguments.set.bits), 1};
    column_.doc_count = arguments.set.rows;
    column_.codes = codes_;
    auto read = GraphView::Read(graph_, column_.doc_count, words_);
    if (!read.ok()) BenchFail("the graph that was made cannot be read");
    column_.graph = *read;
  }

  void Run() {
    MakeFilters();
    for (Filter& filter : filters_) {
      for (const uint32_t q : filter.queries) {
        filter.last.push_back(Ask(filter, q, /*exact=*/true).near.back().distance.bits);
      }
    }
    AskTwice();
    AskAll();
    Report();
  }

 private:
  std::span<const uint64_t> Query(size_t q) const { return std::span(queries_).subspan(q * words_, words_); }

  struct Answer {
    std::vector<Neighbor> near;
    double microseconds = 0;
    double compared = 0;
  };

  Answer Ask(const Filter& filter, uint32_t q, bool exact) const {
    std::optional<DocSet> copy;
    if (filter.new_each_time) copy = filter.allowed;
    const DocSet* const allowed = &filter == filters_.data() ? nullptr : copy ? &*copy : &filter.allowed;
    const NearestOptions options{.k = arguments_.k, .allowed = allowed, .exact = exact};
    SearchStats stats;
    const double start = ThreadSeconds();
    auto near = NearestCodes(column_, Query(q), options, stats);
    const double seconds = ThreadSeconds() - start;
    if (!near.ok()) BenchFail("a query cannot be asked");
    return {*std::move(near), 1e6 * seconds, static_cast<double>(stats.compared)};
  }

  void MakeFilters() {
    Random random(3);
    const size_t rows = arguments_.set.rows;
    std::vector<uint32_t> all(arguments_.queries);
    for (uint32_t q = 0; q < all.size(); ++q) all[q] = q;
    filters_.push_back({"all", DocSet::All(rows), all});
    const auto by_lot = [&](double share) {
      DocSet set(rows);
      for (uint32_t row = 0; row < rows; ++row) {
        if (random.Unit() < share) set.Set(DocId(row));
      }
      return set;
    };
    char name[60];
    for (const double percent : {0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 70.0, 90.0, 99.0}) {
      std::snprintf(name, sizeof(name), "keeps_%g_percent", percent);
      filters_.push_back({name, by_lot(percent / 100), all});
    }
    filters_.push_back({"half_deleted", by_lot(0.5), all});
    for (const double percent : {1.0, 2.0, 5.0, 10.0, 50.0}) {
      std::snprintf(name, sizeof(name), "new_filter_keeps_%g_percent", percent);
      filters_.push_back({name, by_lot(percent / 100), all, /*new_each_time=*/true, std::nullopt});
    }
    DocSet deleted = by_lot(0.5);
    deleted.And(by_lot(0.1));
    filters_.push_back({"half_deleted_keeps_10_percent", std::move(deleted), all});

    // The group of a query is the list of its nearest pivot.
    const GraphView& graph = column_.graph;
    std::vector<uint32_t> group_of(all.size());
    for (const uint32_t q : all) {
      TopK nearest(1);
      HammingNearest({graph.pivots, words_}, Query(q), {}, nearest);
      group_of[q] = RowOf(nearest.keys()[0]);
    }
    for (const double percent : {1.0, 5.0, 10.0, 20.0, 50.0, 90.0}) {
      DocSet set(rows);
      std::vector<bool> kept(graph.ends.size());
      for (size_t group = 0; group < kept.size(); ++group) {
        kept[group] = random.Unit() < percent / 100;
        if (!kept[group]) continue;
        for (uint32_t i = group == 0 ? 0 : graph.ends[group - 1]; i < graph.ends[group]; ++i) {
          set.Set(DocId(graph.members[i]));
        }
      }
      std::vector<uint32_t> inside, outside;
      for (const uint32_t q : all) (kept[group_of[q]] ? inside : outside).push_back(q);
      std::snprintf(name, sizeof(name), "groups_of_%g_percent", percent);
      // Small samples say nothing about the hundredth part.
      if (inside.size() >= 5) filters_.push_back({name + std::string("_inside"), set, inside, false, std::nullopt});
      if (outside.size() >= 5) filters_.push_back({name + std::string("_outside"), set, outside, false, std::nullopt});
    }
  }

  // A set that is asked again is put in the order of the graph's lists: once, by the second query.
  void AskTwice() {
    std::vector<double> second;
    for (const Filter& filter : filters_) {
      if (filter.name == "all" || filter.new_each_time) continue;
      Ask(filter, filter.queries[0], /*exact=*/false);
      second.push_back(Ask(filter, filter.queries[0], /*exact=*/false).microseconds);
    }
    report_.Add({.name = "second_query_of_a_filter",
                 .value = Median(second),
                 .unit = "us, the making of what is kept with it included",
                 .better = BenchResult::Better::kLower});
  }

  // A query of every filter in turn, so that what else the machine does falls on all alike; each filter another query,
  // so that none finds in the cache what the one before it read.
  void AskAll() {
    for (Filter& filter : filters_) filter.times.assign(filter.queries.size(), {});
    for (int round = 0; round < kRounds; ++round) {
      for (size_t i = 0; i < arguments_.queries; ++i) {
        for (size_t f = 0; f < filters_.size(); ++f) {
          Filter& filter = filters_[f];
          if (i >= filter.queries.size()) continue;
          const size_t at = (i + 37 * f) % filter.queries.size();
          const Answer answer = Ask(filter, filter.queries[at], /*exact=*/false);
          filter.times[at].push_back(answer.microseconds);
          if (round > 0) continue;
          filter.compared += answer.compared;
          for (const Neighbor& one : answer.near) filter.recall += one.distance.bits <= filter.last[at] ? 1 : 0;
        }
      }
    }
  }

  // The time of a query is the median of its rounds: what lies in the query stays, what lies in the machine goes.
  static std::vector<double> Times(const Filter& filter) {
    std::vector<double> times;
    for (const std::vector<double>& rounds : filter.times) times.push_back(Median(rounds));
    return times;
  }

  void Report() {
    const double unfiltered = Percentile(Times(filters_[0]), 99);
    for (const Filter& filter : filters_) {
      const std::vector<double> times = Times(filter);
      const double p99 = Percentile(times, 99), queries = static_cast<double>(filter.queries.size());
      char line[160];
      std::snprintf(line, sizeof(line), "%-30s p50 %.0f us, p99 %.0f us, %.0f compared", filter.name.c_str(),
                    Median(times), p99, filter.compared / queries);
      BenchReport::Say(line);
      report_.Add({.name = filter.name + "_recall",
                   .value = filter.recall / (static_cast<double>(arguments_.k) * queries),
                   .unit = "recall@" + std::to_string(arguments_.k),
                   .bar = 0.97});
      if (filter.name == "all") {
        report_.Add({.name = "all_p99", .value = p99, .unit = "us", .better = BenchResult::Better::kLower});
        continue;
      }
      report_.Add({.name = filter.name + "_p99",
                   .value = p99 / unfiltered,
                   .unit = "times that without a filter",
                   .bar = filter.bar,
                   .better = BenchResult::Better::kLower});
    }
  }

  const Arguments& arguments_;
  BenchReport& report_;
  size_t words_;
  Codes codes_, queries_;
  std::vector<std::byte> graph_;
  DeepColumn column_;
  std::vector<Filter> filters_;
};

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  likeness::Arguments arguments;
  likeness::ReadBenchFlags(argc, argv,
                           {{"--rows", &arguments.set.rows},
                            {"--bits", &arguments.set.bits},
                            {"--kind", &arguments.set.kind},
                            {"--k", &arguments.k},
                            {"--queries", &arguments.queries}});
  if (arguments.set.rows < 1000 * arguments.k) {
    likeness::BenchFail("bench_filter wants a thousand rows for each of the k");
  }
  arguments.set.centers = std::max<size_t>(arguments.set.rows / 100, 1);
  likeness::BenchReport report("filter");
  likeness::FilterBench(arguments, report).Run();
  return report.Finish();
}
