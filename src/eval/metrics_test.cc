#include "eval/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace likeness {
namespace {

using Flags = std::vector<uint8_t>;

TEST(PrecisionAt, CountsTheRelevantAmongTheFirstK) {
  const Flags relevant = {1, 0, 1, 1, 0};
  EXPECT_DOUBLE_EQ(PrecisionAt(relevant, 1), 1);
  EXPECT_DOUBLE_EQ(PrecisionAt(relevant, 2), 0.5);
  EXPECT_DOUBLE_EQ(PrecisionAt(relevant, 5), 0.6);
}

TEST(PrecisionAt, DividesByKEvenWhenTheListIsShorter) {
  EXPECT_DOUBLE_EQ(PrecisionAt(Flags{1, 1}, 10), 0.2);
  EXPECT_DOUBLE_EQ(PrecisionAt(Flags{}, 5), 0);
}

// 1/3 * (1/1 + 2/3 + 3/6), by hand.
TEST(AveragePrecision, IsTheMeanOfThePrecisionsAtTheRelevantRanks) {
  EXPECT_DOUBLE_EQ(AveragePrecision(Flags{1, 0, 1, 0, 0, 1}, 3), (1.0 + 2.0 / 3 + 0.5) / 3);
  EXPECT_DOUBLE_EQ(AveragePrecision(Flags{1, 1, 0}, 2), 1);
  EXPECT_DOUBLE_EQ(AveragePrecision(Flags{0, 0, 1}, 1), 1.0 / 3);
}

TEST(AveragePrecision, CountsAMissingRelevantPictureAsZero) {
  EXPECT_DOUBLE_EQ(AveragePrecision(Flags{1, 0}, 2), 0.5);
  EXPECT_DOUBLE_EQ(AveragePrecision(Flags{0, 0}, 2), 0);
  EXPECT_DOUBLE_EQ(AveragePrecision(Flags{}, 0), 0);
}

// The twin knows no ranks: it counts, for every relevant picture, who stands at or before it.
double SlowAveragePrecision(const Flags& relevant) {
  double sum = 0;
  double total = 0;
  for (size_t i = 0; i < relevant.size(); ++i) {
    if (!relevant[i]) continue;
    double before = 0;
    for (size_t j = 0; j < relevant.size(); ++j) before += j <= i && relevant[j] ? 1 : 0;
    sum += before / static_cast<double>(i + 1);
    ++total;
  }
  return total == 0 ? 0 : sum / total;
}

TEST(AveragePrecision, EqualsItsSlowTwin) {
  Random random(7);
  for (int round = 0; round < 200; ++round) {
    Flags relevant(random.Below(60));
    size_t total = 0;
    for (uint8_t& flag : relevant) total += flag = random.Below(3) == 0;
    ASSERT_NEAR(AveragePrecision(relevant, total), SlowAveragePrecision(relevant), 1e-12) << "seed 7, round " << round;
  }
}

TEST(Percentile, IsTheNearestRank) {
  const std::vector<double> values = {5, 1, 4, 2, 3};
  EXPECT_DOUBLE_EQ(Quantile(values, 0.5), 3);
  EXPECT_DOUBLE_EQ(Quantile(values, 0.99), 5);
  EXPECT_DOUBLE_EQ(Quantile(values, 0.2), 1);
  EXPECT_DOUBLE_EQ(Quantile(values, 0.21), 2);
  EXPECT_DOUBLE_EQ(Quantile({}, 0.5), 0);
}

TEST(BootstrapMean, IsSeededAndOfOneValueAPoint) {
  Random random(3);
  std::vector<double> values(50);
  for (double& value : values) value = random.Unit();
  EXPECT_EQ(BootstrapMean(values), BootstrapMean(values));
  EXPECT_NE(BootstrapMean(values, {.seed = 1}), BootstrapMean(values, {.seed = 2}));
  EXPECT_EQ(BootstrapMean(std::vector<double>(9, 0.25)), (Interval{0.25, 0.25}));
  EXPECT_EQ(BootstrapMean({}), Interval());
}

// Of a share p of n queries the normal approximation says p +- 1.96 sqrt(p (1 - p) / n).
TEST(BootstrapMean, AgreesWithTheNormalApproximationOfAShare) {
  std::vector<double> values(1000, 0);
  std::fill(values.begin(), values.begin() + 800, 1.0);
  const Interval interval = BootstrapMean(values, {.resamples = 4000, .seed = 11});
  const double half = 1.96 * std::sqrt(0.8 * 0.2 / 1000);
  EXPECT_NEAR(interval.low, 0.8 - half, 0.003) << "seed 11";
  EXPECT_NEAR(interval.high, 0.8 + half, 0.003) << "seed 11";
}

// The promise of 95 %: of many samples of a known law, about that many intervals hold its mean.
TEST(BootstrapMean, CoversTheTruthAsOftenAsItSays) {
  Random random(5);
  int covered = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<double> values(80);
    for (double& value : values) value = random.Unit();
    const Interval interval = BootstrapMean(values, {.resamples = 300, .seed = random()});
    covered += interval.low <= 0.5 && 0.5 <= interval.high;
  }
  EXPECT_GE(covered, 270) << "seed 5";
  EXPECT_LE(covered, 299) << "seed 5";
}

}  // namespace
}  // namespace likeness
