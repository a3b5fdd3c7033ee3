// The graph index: how many queries a second at which recall, how long it takes to make and how large it is.
//
//   bench_graph [--rows N] [--bits N] [--kind centers|latent|random] [--queries N] [--self] [--peers]
//
// The codes are those of the bar: 10,000 random centers, each row a center with every bit flipped with probability .15,
// queries likewise. Recall is tie-aware: a row counts that is as near as the last of the true ten.
#include "index/graph.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/thread_pool.h"
#include "bench/codes.h"
#include "bench/report.h"
#include "index/nearest.h"

namespace likeness {
namespace {

struct Arguments {
  CodeSet set;
  size_t queries = 2000;
  size_t k = 10;
  bool self = false;
};

int Run(const Arguments& arguments) {
  BenchReport report("graph");
  const CodeSet& set = arguments.set;
  const Codes rows = MakeCodes(set, set.rows, 1), queries = MakeCodes(set, arguments.queries, 2);
  const CodeRows codes{rows, set.bits / 64};
  Stopwatch watch;
  const double cpu = double(std::clock()) / CLOCKS_PER_SEC;
  const std::vector<std::byte> bytes = MakeGraph(codes, {}, {.threads = 2});
  BenchReport::Say("build cpu " + std::to_string(double(std::clock()) / CLOCKS_PER_SEC - cpu));
  report.Add({.name = "build",
              .value = watch.Milliseconds() / 1e3,
              .unit = "s on 2 cores",
              .bar = 60,
              .better = BenchResult::Better::kLower});
  report.Add({.name = "bytes",
              .value = double(bytes.size()) / double(set.rows),
              .unit = "bytes a vector beside its code",
              .bar = 160,
              .better = BenchResult::Better::kLower});
  DeepColumn column{.shape = {static_cast<uint32_t>(set.bits), 1},
                    .doc_count = set.rows,
                    .codes = rows,
                    .vectors = {},
                    .norms = {},
                    .present = {}};
  column.graph = *GraphView::Read(bytes, set.rows, codes.words);
  if (const absl::Status status = column.graph.Check(); !status.ok()) BenchFail(MessageOf(status));
  BenchReport::Say("pivots " + std::to_string(column.graph.ends.size()));
  {
    size_t largest = 0, edges = 0;
    for (size_t i = 1; i < column.graph.ends.size(); ++i)
      largest = std::max<size_t>(largest, column.graph.ends[i] - column.graph.ends[i - 1]);
    for (const uint32_t e : column.graph.edges) edges += e != kNoRow;
    BenchReport::Say("largest list " + std::to_string(largest) + " edges/row " +
                     std::to_string(double(edges) / double(set.rows)));
  }
  const size_t words = codes.words;
  const auto query = [&](size_t i) { return std::span<const uint64_t>(queries).subspan(i * words, words); };
  std::vector<uint32_t> last(arguments.queries);
  for (size_t i = 0; i < arguments.queries; ++i) {
    SearchStats stats;
    last[i] = NearestCodes(column, query(i), {.k = arguments.k, .exact = true}, stats)->back().distance.bits;
  }
  for (const float effort : {0.1f, 0.25f, 0.5f, 1.0f, 2.0f, 4.0f}) {
    double found = 0;
    SearchStats stats;
    std::vector<double> times;
    const double start = ThreadSeconds();
    for (size_t i = 0; i < arguments.queries; ++i) {
      const double one = ThreadSeconds();
      const std::vector<Neighbor> near = *NearestCodes(column, query(i), {.k = arguments.k, .effort = effort}, stats);
      for (const Neighbor& n : near) found += n.distance.bits <= last[i];
      times.push_back(1e6 * (ThreadSeconds() - one));
    }
    const double seconds = ThreadSeconds() - start;
    BenchReport::Say("effort " + std::to_string(effort) + " recall " +
                     std::to_string(found / double(arguments.k * arguments.queries)) + " q/s " +
                     std::to_string(double(arguments.queries) / seconds) + " compared " +
                     std::to_string(double(stats.compared) / double(arguments.queries)) + " p50 " +
                     std::to_string(Median(times)) + " p99 " + std::to_string(Percentile(times, 99)));
  }
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  likeness::Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto next = [&] { return i + 1 < argc ? argv[++i] : ""; };
    if (name == "--rows")
      arguments.set.rows = std::strtoull(next(), nullptr, 10);
    else if (name == "--bits")
      arguments.set.bits = std::strtoull(next(), nullptr, 10);
    else if (name == "--kind")
      arguments.set.kind = next();
    else if (name == "--queries")
      arguments.queries = std::strtoull(next(), nullptr, 10);
    else if (name == "--k")
      arguments.k = std::strtoull(next(), nullptr, 10);
    else if (name == "--self")
      arguments.self = true;
    else
      likeness::BenchFail("bench_graph does not know " + name);
  }
  return likeness::Run(arguments);
}
