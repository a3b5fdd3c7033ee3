// The graph index: how many queries a second at which recall, how long it takes to make, how large it is; beside it the
// clustering trees, and FAISS, USearch and hnswlib (bench/peers_graph.py) on the same codes in the same run.
//
//   bench_graph [--rows N] [--bits N] [--k N] [--kind centers|latent|random] [--queries N] [--self] [--peers LIST]
//               [--peer-seconds N]
//
// The codes are those of the bar: 10,000 random centers, each row a center with every bit flipped with probability .15,
// queries likewise. Recall is tie-aware: a row counts that is as near as the last of the true ones. --self asks for
// every stored code. --peers all, none, or some of faiss_ivf,usearch,faiss_hnsw,hnswlib, which come in this order: one
// that is not made N seconds after the first began (480) is given up. They are asked all queries in one call, one
// thread.
#include "index/graph.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "bench/codes.h"
#include "bench/flags.h"
#include "bench/report.h"
#include "index/cluster_tree.h"
#include "index/nearest.h"

namespace likeness {
namespace {

struct Arguments {
  CodeSet set;
  size_t queries = 2000;
  size_t k = 10;
  bool self = false;
  std::string peers = "all";
  size_t peer_seconds = 480;
};

double ProcessSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// Queries a second by recall, of one way to search.
struct Trial {
  double recall = 0;
  double rate = 0;
};

std::optional<double> BestAt(const std::vector<Trial>& trials, double recall) {
  std::optional<double> best;
  for (const Trial& trial : trials) {
    if (trial.recall >= recall && (!best || trial.rate > *best)) best = trial.rate;
  }
  return best;
}

class GraphBench {
 public:
  GraphBench(const Arguments& arguments, BenchReport& report)
      : arguments_(arguments),
        report_(report),
        words_(arguments.set.bits / 64),
        rows_(MakeCodes(arguments.set, arguments.set.rows, 1)),
        queries_(MakeCodes(arguments.set, arguments.queries, 2)),
        last_(arguments.queries) {
    column_.shape = {static_cast<uint32_t>(arguments.set.bits), 1};
    column_.doc_count = arguments.set.rows;
    column_.codes = rows_;
  }

  void Run() {
    Build();
    FindTruth();
    AskGraph();
    if (arguments_.self) AskForEveryStoredCode();
    AskTrees();
    if (arguments_.peers != "none") AskPeers();
  }

 private:
  std::span<const uint64_t> Query(size_t i) const { return std::span(queries_).subspan(i * words_, words_); }
  CodeRows codes() const { return {rows_, words_}; }

  void Build() {
    BenchReport::Say("making the graph of " + std::to_string(arguments_.set.rows) + " codes");
    const Stopwatch watch;
    const double before = ProcessSeconds();
    graph_ = MakeGraph(codes(), {}, {.threads = 2});
    report_.Add({.name = "build",
                 .value = watch.Milliseconds() / 1e3,
                 .unit = "s on 2 cores",
                 .bar = 60,
                 .better = BenchResult::Better::kLower});
    report_.Add({.name = "build_processor_time",
                 .value = ProcessSeconds() - before,
                 .unit = "core seconds",
                 .better = BenchResult::Better::kLower});
    report_.Add({.name = "memory",
                 .value = static_cast<double>(graph_.size()) / static_cast<double>(arguments_.set.rows),
                 .unit = "bytes a vector beside its code",
                 .bar = 160,
                 .better = BenchResult::Better::kLower});
    auto read = GraphView::Read(graph_, arguments_.set.rows, words_);
    if (!read.ok() || !read->Check().ok()) BenchFail("the graph that was made cannot be read");
    column_.graph = *read;
  }

  void FindTruth() {
    for (size_t i = 0; i < arguments_.queries; ++i) {
      SearchStats stats;
      const auto near = NearestCodes(column_, Query(i), {.k = arguments_.k, .exact = true}, stats);
      last_[i] = near->back().distance.bits;
    }
  }

  void Say(const std::string& name, const Trial& trial, const std::string& more) {
    char line[200];
    std::snprintf(line, sizeof(line), "%-24s recall@%zu %.4f %9.0f queries/s  %s", name.c_str(), arguments_.k,
                  trial.recall, trial.rate, more.c_str());
    BenchReport::Say(line);
  }

  // search(i) gives the distances that were found.
  template <typename Search>
  Trial Measure(const std::string& name, const Search& search) {
    Trial trial;
    std::vector<double> times;
    for (size_t i = 0; i < arguments_.queries; ++i) {
      const double start = ThreadSeconds();
      const auto found = search(i);
      times.push_back(1e6 * (ThreadSeconds() - start));
      for (const uint32_t distance : found) trial.recall += distance <= last_[i] ? 1 : 0;
    }
    double sum = 0;
    for (const double time : times) sum += time;
    trial.recall /= static_cast<double>(arguments_.k * arguments_.queries);
    trial.rate = 1e6 * static_cast<double>(times.size()) / sum;
    char more[80];
    std::snprintf(more, sizeof(more), "p50 %.0f us, p99 %.0f us", Median(times), Percentile(times, 99));
    Say(name, trial, more);
    return trial;
  }

  void Report(const std::string& engine, const std::vector<Trial>& trials, bool bars) {
    for (const auto& [recall, text, bar] :
         {std::tuple(0.99, "recall_99", 8000.0), std::tuple(0.95, "recall_95", 15000.0)}) {
      BenchResult result{.name = engine + "_" + text, .value = 0, .unit = "queries/s, one core"};
      const std::optional<double> rate = BestAt(trials, recall);
      if (bars) result.bar = bar;
      if (!rate && !bars) continue;
      result.value = rate.value_or(0);
      report_.Add(result);
    }
  }

  void AskGraph() {
    std::vector<Trial> trials;
    for (const float effort : {0.1f, 0.25f, 0.5f, 1.0f, 2.0f, 4.0f}) {
      char name[40];
      std::snprintf(name, sizeof(name), "graph, effort %.2f", static_cast<double>(effort));
      trials.push_back(Measure(name, [&](size_t i) {
        SearchStats stats;
        const auto near = NearestCodes(column_, Query(i), {.k = arguments_.k, .effort = effort}, stats);
        std::vector<uint32_t> distances;
        for (const Neighbor& one : *near) distances.push_back(one.distance.bits);
        return distances;
      }));
      if (effort == 1.0f) {
        report_.Add({.name = "recall_at_effort_1", .value = trials.back().recall, .unit = "of the true ones"});
      }
    }
    // The bars are those of the codes named above.
    Report("graph", trials, arguments_.set.kind == "centers" && arguments_.set.bits == 256 && arguments_.k == 10);
  }

  void AskForEveryStoredCode() {
    constexpr size_t kPiece = 10000;
    std::atomic<size_t> missed = 0;
    const size_t rows = arguments_.set.rows;
    ParallelFor((rows + kPiece - 1) / kPiece, 2, [&](size_t piece) {
      for (size_t row = piece * kPiece; row < std::min(rows, (piece + 1) * kPiece); ++row) {
        SearchStats stats;
        const auto near =
            NearestCodes(column_, column_.code(DocId(static_cast<uint32_t>(row))), {.k = 1, .effort = 0.1f}, stats);
        if (near->empty() || near->front().distance.bits != 0) ++missed;
      }
    });
    report_.Add({.name = "stored_codes_found",
                 .value = 1 - static_cast<double>(missed) / static_cast<double>(rows),
                 .unit = "of all, at distance 0 and the least effort",
                 .bar = 1});
  }

  void AskTrees() {
    const double before = ProcessSeconds();
    const ClusterTrees trees(codes(), {}, {.threads = 2});
    report_.Add({.name = "trees_build_processor_time", .value = ProcessSeconds() - before, .unit = "core seconds"});
    report_.Add({.name = "trees_memory",
                 .value = static_cast<double>(trees.bytes()) / static_cast<double>(arguments_.set.rows),
                 .unit = "bytes a vector beside its code"});
    std::vector<Trial> trials;
    for (const size_t checks : {500, 2000, 8000, 32000}) {
      trials.push_back(Measure("trees, " + std::to_string(checks) + " checks", [&](size_t i) {
        TopK best(arguments_.k);
        trees.Search(Query(i), checks, {}, best);
        std::vector<uint32_t> distances;
        for (const uint64_t key : best.keys()) distances.push_back(RankOf(key));
        return distances;
      }));
    }
    Report("trees", trials, false);
  }

  // The others read the same codes from files and print lines of JSON.
  void AskPeers() {
    const std::string source = LIKENESS_SOURCE_DIR, build = LIKENESS_BENCH_BUILD;
    const std::string python = build + "/peers-graph/bin/python";
    if (::access(python.c_str(), X_OK) != 0) {
      const std::string make = "python3 -m venv '" + build + "/peers-graph' && '" + python +
                               "' -m pip install -q -r '" + source + "/bench/requirements-graph.txt' 1>&2";
      if (std::system(make.c_str()) != 0) {
        BenchReport::Say("FAISS, USearch and hnswlib cannot be installed here: no rows of theirs");
        return;
      }
    }
    const std::string folder = build + "/peers-graph/codes";
    if (std::system(("mkdir -p '" + folder + "'").c_str()) != 0) return;
    const auto write = [&](const char* name, std::span<const std::byte> bytes) {
      std::ofstream(folder + "/" + name, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    };
    write("rows.bin", std::as_bytes(std::span(rows_)));
    write("queries.bin", std::as_bytes(std::span(queries_)));
    write("last.bin", std::as_bytes(std::span(last_)));
    std::string command = "'" + python + "' '" + source + "/bench/peers_graph.py' '" + folder + "' " +
                          std::to_string(arguments_.set.bits) + " " + std::to_string(arguments_.k);
    command += " '" + arguments_.peers + "' " + std::to_string(arguments_.peer_seconds);
    std::FILE* pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return;
    // Each engine is reported as soon as the next one begins.
    std::string engine;
    std::vector<Trial> trials;
    double build_seconds = 0;
    const auto report = [&] {
      if (trials.empty()) return;
      report_.Add({.name = engine + "_build_processor_time", .value = build_seconds, .unit = "core seconds"});
      Report(engine, trials, false);
      trials.clear();
    };
    char line[4096];
    while (std::fgets(line, sizeof(line), pipe) != nullptr) {
      const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (!json.is_object()) continue;
      const std::string name = json.value("engine", "");
      if (name != engine) report();
      engine = name;
      if (json.value("given_up", false)) {
        BenchReport::Say(engine + " was not made in " + std::to_string(arguments_.peer_seconds) + " s: no rows of it");
        continue;
      }
      build_seconds = json.value("build_seconds", 0.0);
      trials.push_back({json.value("recall", 0.0), json.value("queries_per_second", 0.0)});
      Say(engine, trials.back(), json.value("setting", ""));
    }
    report();
    if (::pclose(pipe) != 0) BenchReport::Say("the other engines did not come to their end");
  }

  const Arguments& arguments_;
  BenchReport& report_;
  size_t words_;
  Codes rows_, queries_;
  std::vector<uint32_t> last_;  // distance of the k-th nearest of each query
  std::vector<std::byte> graph_;
  DeepColumn column_;
};

}  // namespace
}  // namespace likeness

int main(int argc, char** argv) {
  likeness::Arguments arguments;
  likeness::ReadBenchFlags(argc, argv,
                           {{"--rows", &arguments.set.rows},
                            {"--bits", &arguments.set.bits},
                            {"--kind", &arguments.set.kind},
                            {"--queries", &arguments.queries},
                            {"--k", &arguments.k},
                            {"--peers", &arguments.peers},
                            {"--peer-seconds", &arguments.peer_seconds},
                            {"--self", &arguments.self}});
  if (arguments.set.rows < arguments.k || arguments.set.bits > 4096) {
    likeness::BenchFail("bench_graph wants k at most the rows, and at most 4096 bits");
  }
  likeness::BenchReport report("graph");
  likeness::GraphBench(arguments, report).Run();
  return report.Finish();
}
