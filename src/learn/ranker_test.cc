// What fitting promises: known weights are found again, nothing is left to chance or order, and nonsense is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/random.h"
#include "learn/logistic.h"
#include "learn/ranker_trainer.h"

namespace likeness {
namespace {

TEST(Logistic, FindsTheWeightsThatMadeTheLabels) {
  Random random(1);
  std::vector<double> rows;
  std::vector<uint8_t> labels;
  for (int i = 0; i < 20'000; ++i) {
    const double a = random.Normal(), b = 3 * random.Normal() + 10;
    rows.insert(rows.end(), {a, b});
    labels.push_back(random.Unit() < 1 / (1 + std::exp(-(2 * a - 0.5 * (b - 10) + 0.3))) ? 1 : 0);
  }
  const std::vector<double> importance(labels.size(), 1);
  const LogisticFit fit = *FitLogistic(rows, 2, labels, importance, {.ridge = 1e-6});
  EXPECT_NEAR(fit.weights[0], 2, 0.1);
  EXPECT_NEAR(fit.weights[1], -0.5, 0.05);
  EXPECT_NEAR(fit.Probability(std::vector<double>{0, 10}), 1 / (1 + std::exp(-0.3)), 0.02);
  const LogisticFit held = *FitLogistic(rows, 2, labels, importance, {.ridge = 1e-6, .nonnegative = {true, true}});
  EXPECT_EQ(held.weights[1], 0) << "it would be negative";
  EXPECT_GT(held.weights[0], 0);
}

TEST(Logistic, UnknownInputsAndPerfectLabelsGiveFiniteWeights) {
  const std::vector<double> rows = {0, std::numeric_limits<double>::quiet_NaN(), 1, 5, 0, 5, 1, 5};
  const LogisticFit fit = *FitLogistic(rows, 2, std::vector<uint8_t>{0, 1, 0, 1}, std::vector<double>{1, 1, 1, 1});
  for (const double weight : fit.weights) EXPECT_TRUE(std::isfinite(weight));
  EXPECT_GT(fit.Probability(std::vector<double>{1, std::numeric_limits<double>::quiet_NaN()}), 0.5);
}

TEST(Logistic, RefusesExamplesOfOneKind) {
  EXPECT_EQ(
      FitLogistic(std::vector<double>{1, 2}, 1, std::vector<uint8_t>{1, 1}, std::vector<double>{1, 1}).status().code(),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FitLogistic(std::vector<double>{1, INFINITY}, 1, std::vector<uint8_t>{0, 1}, std::vector<double>{1, 1})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

// Words decide, the look says little, pins say nothing.
std::vector<RankedPair> Pairs(uint64_t seed) {
  Random random(seed);
  std::vector<RankedPair> pairs;
  for (uint32_t query = 0; query < 200; ++query) {
    const double easy = random.Unit();
    for (int i = 0; i < 20; ++i) {
      RankedPair pair{query, {}, random.Unit() < 0.3};
      pair.signals.Set(Signal::kVisual, static_cast<float>(easy + 0.1 * random.Normal() + (pair.relevant ? 0.05 : 0)));
      if (i % 4 != 0) pair.signals.Set(Signal::kAnnotation, pair.relevant && random.Unit() < 0.8 ? 0.9f : 0.2f);
      pair.signals.Set(Signal::kEngagement, static_cast<float>(random.Unit()));
      pairs.push_back(pair);
    }
  }
  return pairs;
}

TEST(Ranker, WeighsWhatTellsRelevantFromOthersAndIsBetterOnQueriesThatItHasNotSeen) {
  const RankerReport report = *TrainRanker(Pairs(2));
  EXPECT_EQ(report.queries, 200u);
  EXPECT_GT(report.held_out, 30u);
  EXPECT_GT(report.p_at_5, report.visual_p_at_5 + 0.1);
  EXPECT_GT(report.map, report.visual_map + 0.1);
  EXPECT_LT(report.uploaded_p_at_5, report.p_at_5) << "the words have told it";
  EXPECT_LT(report.weights[Signal::kEngagement], 0.2 * report.weights[Signal::kAnnotation]);
  EXPECT_EQ(report.weights[Signal::kTopic], 0) << "nothing has it";
  for (const float weight : report.weights.values) EXPECT_GE(weight, 0);
}

TEST(Ranker, TheSameSeedGivesTheSameWeights) {
  const std::vector<RankedPair> pairs = Pairs(3);
  EXPECT_EQ(TrainRanker(pairs)->weights, TrainRanker(pairs)->weights);
  EXPECT_NE(TrainRanker(pairs, {.seed = 2})->weights, TrainRanker(pairs)->weights);
}

TEST(Ranker, RefusesWhatTeachesNothing) {
  EXPECT_EQ(TrainRanker({}).status().code(), absl::StatusCode::kInvalidArgument);
  std::vector<RankedPair> pairs = Pairs(4);
  for (RankedPair& pair : pairs) pair.relevant = true;
  EXPECT_EQ(TrainRanker(pairs).status().code(), absl::StatusCode::kInvalidArgument);
  pairs[0].relevant = false;
  pairs[0].signals.Set(Signal::kVisual, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(TrainRanker(pairs).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace likeness
