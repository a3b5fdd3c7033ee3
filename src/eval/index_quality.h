// How well and how fast the index of a collection finds what a scan of everything finds: `likeness bench-index`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "index/snapshot.h"
#include "types/feature_key.h"

namespace likeness {

struct IndexQuestion {
  FeatureKey feature;
  size_t queries = 200;  // stored images that are asked with, each apart from itself; all where there are fewer
  size_t k = 100;        // neighbors wanted
  double recall = 0.98;  // that the setting to choose must reach, in [0, 1]
  uint64_t seed = 1;     // of the choice of queries
  bool trees = true;     // also hierarchical clustering trees, made in memory
  size_t threads = 0;    // that make what is missing; 0: as many as there are. Queries use one.
};

// One way to search, asked with every query.
struct IndexTrial {
  std::string kind;              // "exact", "graph" or "trees"
  std::optional<float> effort;   // of the graph
  std::optional<size_t> checks;  // of the trees: codes looked at, over all segments
  double recall = 0;             // tie-aware: the share of the k that are as near as the last of the true ones
  double p50_ms = 0;             // of one query over all segments, one core, processor time
  double p99_ms = 0;
  double per_second = 0;  // queries on one core
  double compared = 0;    // distances computed, a query
};

struct IndexQuality {
  uint64_t images = 0;
  size_t segments = 0;
  size_t graphs = 0;  // segments that have one; the others are so small that they are scanned
  uint32_t code_bits = 0;
  double graph_bytes = 0;  // beside its code, of an image in a segment that has a graph
  size_t queries = 0;
  std::vector<IndexTrial> trials;  // exact first
  std::optional<size_t> chosen;    // of trials: the fastest that reaches the recall; the trees are not to be chosen
};

// Errors: NotFound (no segment has the feature, or fewer than two images). `progress` is told of each trial as it ends.
absl::StatusOr<IndexQuality> MeasureIndex(const Snapshot& snapshot, const IndexQuestion& question,
                                          const std::function<void(const IndexTrial&)>& progress = {});

}  // namespace likeness
