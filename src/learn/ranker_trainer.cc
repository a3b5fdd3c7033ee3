#include "learn/ranker_trainer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/random.h"
#include "learn/logistic.h"

namespace likeness {
namespace {

constexpr size_t kDifferences = 40;  // of one query at most

struct Quality {
  double p_at_5 = 0, map = 0;
};

// The mean over queries, candidates in the order of their scores; ties keep the order that they came in.
Quality Judge(std::span<const std::vector<const RankedPair*>* const> queries, const SignalWeights& weights) {
  Quality quality;
  size_t judged = 0;
  for (const auto* query : queries) {
    std::vector<std::pair<float, bool>> scored;
    for (const RankedPair* pair : *query) scored.emplace_back(weights.Score(pair->signals), pair->relevant);
    std::ranges::stable_sort(scored, [](const auto& a, const auto& b) { return a.first > b.first; });
    size_t found = 0;
    double precision = 0, first = 0;
    for (size_t i = 0; i < scored.size(); ++i) {
      if (!scored[i].second) continue;
      precision += static_cast<double>(++found) / static_cast<double>(i + 1);
      if (i < 5) first += 0.2;
    }
    if (found == 0) continue;
    ++judged;
    quality.p_at_5 += first;
    quality.map += precision / static_cast<double>(found);
  }
  if (judged > 0) {
    quality.p_at_5 /= static_cast<double>(judged);
    quality.map /= static_cast<double>(judged);
  }
  return quality;
}

}  // namespace

absl::StatusOr<RankerReport> TrainRanker(std::span<const RankedPair> pairs, const RankerOptions& options) {
  std::map<uint32_t, std::vector<const RankedPair*>> queries;
  for (const RankedPair& pair : pairs) {
    for (size_t i = 0; i < kSignals; ++i) {
      if (!std::isfinite(pair.signals[static_cast<Signal>(i)])) {
        return absl::InvalidArgumentError("a signal of an example is not a finite number");
      }
    }
    queries[pair.query].push_back(&pair);
  }
  const size_t columns = options.signals.size();
  std::vector<double> rows, importance;
  std::vector<uint8_t> labels;
  std::vector<const std::vector<const RankedPair*>*> held;
  RankerReport report;
  report.queries = queries.size();
  report.pairs = pairs.size();
  for (const auto& [number, candidates] : queries) {
    Random random(options.seed * 0x9E3779B97F4A7C15u + number);
    if (random.Unit() < options.held_out) {
      held.push_back(&candidates);
      continue;
    }
    std::vector<const RankedPair*> relevant, others;
    for (const RankedPair* one : candidates) (one->relevant ? relevant : others).push_back(one);
    if (relevant.empty() || others.empty()) continue;
    for (size_t i = 0; i < kDifferences; ++i) {
      const SignalValues& a = relevant[random.Below(relevant.size())]->signals;
      const SignalValues& b = others[random.Below(others.size())]->signals;
      // Both ways round, so that neither kind is the more common one.
      for (const double sign : {1.0, -1.0}) {
        for (const Signal signal : options.signals) rows.push_back(sign * (static_cast<double>(a[signal]) - b[signal]));
        labels.push_back(sign > 0 ? 1 : 0);
        importance.push_back(1);
      }
    }
  }
  report.held_out = held.size();
  if (labels.empty()) {
    return absl::InvalidArgumentError("no query has both relevant and other candidates: give more labelled pictures");
  }
  LIKENESS_ASSIGN_OR_RETURN(const LogisticFit fit,
                            FitLogistic(rows, columns, labels, importance,
                                        {.ridge = options.ridge, .nonnegative = std::vector<bool>(columns, true)}));
  const double largest = *std::ranges::max_element(fit.weights);
  report.weights.values = {};
  for (size_t i = 0; i < columns; ++i) {
    report.weights[options.signals[i]] = static_cast<float>(largest > 0 ? fit.weights[i] / largest : 0);
  }
  if (largest <= 0) report.weights = SignalWeights();
  const Quality trained = Judge(held, report.weights), visual = Judge(held, SignalWeights());
  report.p_at_5 = trained.p_at_5;
  report.map = trained.map;
  report.visual_p_at_5 = visual.p_at_5;
  report.visual_map = visual.map;
  SignalWeights uploaded = report.weights;
  uploaded[Signal::kAnnotation] = uploaded[Signal::kColor] = 0;
  const Quality without = Judge(held, uploaded);
  report.uploaded_p_at_5 = without.p_at_5;
  report.uploaded_map = without.map;
  return report;
}

}  // namespace likeness
