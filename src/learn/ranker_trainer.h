// Fits the weights of the leaf ranker from labelled pairs: a query, a candidate, its signals, and whether it is
// relevant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "types/signal.h"

namespace likeness {

struct RankedPair {
  uint32_t query = 0;  // pairs of one query have one number
  SignalValues signals;
  bool relevant = false;
};

struct RankerOptions {
  uint64_t seed = 1;      // which queries are held out
  double held_out = 0.3;  // share of queries that the weights are judged on and not fitted to
  double ridge = 1e-3;
  // Signals that may get a weight; the others stay 0. Weights are never negative.
  std::vector<Signal> signals = {Signal::kVisual, Signal::kColor, Signal::kAnnotation, Signal::kTopic,
                                 Signal::kEngagement};
};

struct RankerReport {
  SignalWeights weights;  // the largest is 1
  size_t queries = 0, held_out = 0, pairs = 0;
  // Of the held-out queries' candidates in the order that the weights give, and by the visual signal alone.
  double p_at_5 = 0, map = 0;
  double visual_p_at_5 = 0, visual_map = 0;
  // By the same weights where the query brings neither words nor colors with it: an uploaded picture.
  double uploaded_p_at_5 = 0, uploaded_map = 0;
};

// Relevance is fitted on the differences of a relevant and an irrelevant candidate of the same query (pairwise logistic
// regression), so that what only tells easy queries from hard ones has no say. The same arguments give the same
// weights. Errors: InvalidArgument when no query has candidates of both kinds, or a signal is not finite.
absl::StatusOr<RankerReport> TrainRanker(std::span<const RankedPair> pairs, const RankerOptions& options = {});

}  // namespace likeness
