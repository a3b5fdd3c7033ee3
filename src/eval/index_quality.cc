#include "eval/index_quality.h"

#include <algorithm>
#include <memory>

#include "base/random.h"
#include "base/thread_pool.h"
#include "eval/processor_time.h"
#include "index/cluster_tree.h"
#include "index/nearest.h"

namespace likeness {
namespace {

constexpr float kEfforts[] = {0.25f, 0.5f, 1.0f, 2.0f, 4.0f};
constexpr size_t kChecks[] = {1000, 4000, 16000};  // a segment

class Measurement {
 public:
  Measurement(const Snapshot& snapshot, const IndexQuestion& question) : snapshot_(snapshot), question_(question) {
    for (const auto& segment : snapshot.segments()) {
      const DeepColumn* const column = segment->deep(question.feature);
      if (column != nullptr && column->doc_count > 0) columns_.push_back(column);
    }
  }

  absl::StatusOr<IndexQuality> Run(const std::function<void(const IndexTrial&)>& progress) {
    IndexQuality quality;
    LIKENESS_RETURN_IF_ERROR(Describe(quality));
    ChooseQueries();
    quality.queries = queries_.size();
    const auto add = [&](IndexTrial trial) {
      if (progress) progress(trial);
      quality.trials.push_back(std::move(trial));
    };
    add(Ask({.kind = "exact", .effort = {}, .checks = {}}));
    if (quality.graphs > 0) {
      for (const float effort : kEfforts) add(Ask({.kind = "graph", .effort = effort, .checks = {}}));
    }
    if (question_.trees) {
      const size_t threads = question_.threads != 0 ? question_.threads : AvailableThreads();
      for (const DeepColumn* column : columns_) {
        trees_.push_back(std::make_unique<ClusterTrees>(CodeRows{column->codes, column->shape.words()}, column->present,
                                                        ClusterTreeOptions{.threads = threads}));
      }
      for (const size_t checks : kChecks) {
        add(Ask({.kind = "trees", .effort = {}, .checks = checks * columns_.size()}));
      }
    }
    for (size_t i = 0; i < quality.trials.size(); ++i) {
      const IndexTrial& trial = quality.trials[i];
      if (trial.kind == "trees" || trial.recall < question_.recall) continue;
      if (!quality.chosen || trial.per_second > quality.trials[*quality.chosen].per_second) quality.chosen = i;
    }
    return quality;
  }

 private:
  struct Query {
    size_t column;
    DocId doc;
  };

  absl::Status Describe(IndexQuality& quality) {
    double graph_bytes = 0, in_graphs = 0;
    for (const DeepColumn* column : columns_) {
      for (uint32_t doc = 0; doc < column->doc_count; ++doc) images_ += column->has(DocId(doc)) ? 1 : 0;
      quality.code_bits = column->shape.code_bits;
      const GraphView& graph = column->graph;
      if (graph.empty()) continue;
      ++quality.graphs;
      in_graphs += static_cast<double>(column->doc_count);
      graph_bytes +=
          static_cast<double>(graph.edges.size_bytes() + graph.pivots.size_bytes() + graph.ends.size_bytes() +
                              graph.members.size_bytes() + graph.same.size_bytes());
    }
    if (images_ < 2) {
      return absl::NotFoundError("the index of release " + snapshot_.name() + " has fewer than two images with " +
                                 question_.feature.ToString());
    }
    quality.images = images_;
    quality.segments = columns_.size();
    quality.graph_bytes = in_graphs > 0 ? graph_bytes / in_graphs : 0;
    return absl::OkStatus();
  }

  void ChooseQueries() {
    std::vector<Query> all;
    for (size_t c = 0; c < columns_.size(); ++c) {
      for (uint32_t doc = 0; doc < columns_[c]->doc_count; ++doc) {
        if (columns_[c]->has(DocId(doc))) all.push_back({c, DocId(doc)});
      }
    }
    Random random(question_.seed);
    const size_t count = std::min(std::max<size_t>(question_.queries, 1), all.size());
    for (size_t i = 0; i < count; ++i) std::swap(all[i], all[i + random.Below(all.size() - i)]);
    queries_.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
    last_.resize(count);
  }

  // One more than wanted is asked for, and the image itself left out.
  IndexTrial Ask(IndexTrial trial) {
    const size_t k = std::min<size_t>(question_.k, images_ - 1);
    std::vector<double> times;
    double found = 0;
    for (size_t q = 0; q < queries_.size(); ++q) {
      const std::span<const uint64_t> code = columns_[queries_[q].column]->code(queries_[q].doc);
      std::vector<uint32_t> distances;
      const double start = ThreadMilliseconds();
      for (size_t c = 0; c < columns_.size(); ++c) {
        const auto add = [&](Distance distance, DocId doc) {
          if (c != queries_[q].column || doc != queries_[q].doc) distances.push_back(distance.bits);
        };
        if (trial.checks) {
          TopK best(k + 1);
          trial.compared +=
              static_cast<double>(trees_[c]->Search(code, *trial.checks / columns_.size(), columns_[c]->present, best));
          for (const uint64_t key : best.keys()) add(Distance{RankOf(key)}, DocId(RowOf(key)));
        } else {
          SearchStats stats;
          NearestOptions options{.k = k + 1, .exact = trial.kind == "exact"};
          if (trial.effort) options.effort = *trial.effort;
          const auto near = NearestCodes(*columns_[c], code, options, stats);
          LIKENESS_CHECK(near.ok());
          for (const Neighbor& one : *near) add(one.distance, one.doc);
          trial.compared += static_cast<double>(stats.compared);
        }
      }
      std::ranges::sort(distances);
      if (distances.size() > k) distances.resize(k);
      times.push_back(ThreadMilliseconds() - start);
      if (trial.kind == "exact") last_[q] = distances.back();
      for (const uint32_t distance : distances) found += distance <= last_[q] ? 1 : 0;
    }
    const auto count = static_cast<double>(queries_.size());
    double sum = 0;
    for (const double time : times) sum += time;
    trial.recall = k == 0 ? 1 : found / (static_cast<double>(k) * count);
    trial.p50_ms = Percentile(times, 50);
    trial.p99_ms = Percentile(times, 99);
    trial.per_second = sum > 0 ? 1e3 * count / sum : 0;
    trial.compared /= count;
    return trial;
  }

  const Snapshot& snapshot_;
  const IndexQuestion& question_;
  std::vector<const DeepColumn*> columns_;
  std::vector<std::unique_ptr<ClusterTrees>> trees_;
  uint64_t images_ = 0;
  std::vector<Query> queries_;
  std::vector<uint32_t> last_;  // distance of the k-th nearest of each query
};

}  // namespace

absl::StatusOr<IndexQuality> MeasureIndex(const Snapshot& snapshot, const IndexQuestion& question,
                                          const std::function<void(const IndexTrial&)>& progress) {
  if (question.k == 0) return absl::InvalidArgumentError("ask for at least one neighbor");
  return Measurement(snapshot, question).Run(progress);
}

}  // namespace likeness
