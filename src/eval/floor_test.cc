// A calibration on pictures whose vectors are known, made ones here: groups of like ones, and how sure it may be.
#include "eval/floor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/random.h"
#include "types/signature.h"

namespace likeness {
namespace {

constexpr size_t kDimension = 48;

// `groups` of `members` vectors each, which are `near` their group's own (a cosine of about near^2 between two).
FloorSet Groups(size_t groups, size_t members, double near, uint64_t seed) {
  FloorSet set;
  set.name = "made";
  set.feature = FeatureKey::Of("deep.made", "vectors of a test");
  set.dimension = kDimension;
  Random random(seed);
  const auto direction = [&random] {
    std::vector<double> values(kDimension);
    double length = 0;
    for (double& value : values) value = random.Normal(), length += value * value;
    for (double& value : values) value /= std::sqrt(length);
    return values;
  };
  std::vector<std::pair<Signature, std::pair<uint32_t, std::vector<double>>>> rows;
  for (uint32_t group = 0; group < groups; ++group) {
    const std::vector<double> center = direction();
    for (size_t i = 0; i < members; ++i) {
      std::vector<double> values = direction();
      for (size_t c = 0; c < kDimension; ++c) values[c] = near * center[c] + std::sqrt(1 - near * near) * values[c];
      const std::string name = std::to_string(group) + "." + std::to_string(i);
      rows.push_back({Signature::Of(AsBytes(name)), {group, values}});
    }
  }
  std::ranges::sort(rows, {}, [](const auto& row) { return row.first; });
  for (const auto& [signature, row] : rows) {
    set.signatures.push_back(signature);
    set.labels.push_back(row.first);
    double length = 0;
    for (const double value : row.second) length += value * value;
    for (const double value : row.second) set.values.push_back(static_cast<float>(value / std::sqrt(length)));
  }
  return set;
}

TEST(FloorEvalTest, KeepsTrueHitsAndKnowsAQueryWithoutAMatch) {
  FloorEvalOptions options;
  options.known = Groups(40, 24, 0.85, 1);
  options.code_bits = 256;
  const FloorReport report = *EvaluateFloor(options);
  ASSERT_EQ(report.groups.size(), 1u);
  EXPECT_TRUE(report.groups[0].matched);
  EXPECT_GT(report.groups[0].kept, 0.85);
  EXPECT_LT(report.groups[0].false_kept, 0.2);
  EXPECT_LT(report.groups[0].nothing, 0.05);

  // Fitted for each kind of set: the same cosine is a match in one, and chance in the other.
  const auto model = [&](double near) {
    options.known = Groups(40, 24, near, 2);
    return *FloorModel::Create(TrainFloor(options)->model);
  };
  FloorInputs inputs;
  inputs.fill(std::nan(""));
  inputs[static_cast<size_t>(FloorInput::kCosine)] = 0.45;
  inputs[static_cast<size_t>(FloorInput::kNearby)] = 0.45;
  inputs[static_cast<size_t>(FloorInput::kCohesion)] = 0.45;
  EXPECT_GT(model(0.7).Probability(inputs), 0.6);
  inputs[static_cast<size_t>(FloorInput::kCosine)] = 0.1;
  EXPECT_LT(model(0.7).Probability(inputs), 0.3);
}

// The fit meets more queries without a match than with one; said probabilities must be right all the same.
TEST(FloorEvalTest, WhatItSaysIsHowOftenItIsRight) {
  FloorEvalOptions options;
  options.known = Groups(40, 24, 0.75, 3);
  options.code_bits = 256;
  const FloorReport report = *TrainFloor(options);
  EXPECT_GT(report.examples, 1000u);
  EXPECT_GT(report.model.threshold, 0.0);
  EXPECT_LT(report.model.threshold, 0.9);
}

TEST(FloorEvalTest, WithoutPicturesItSaysWhatToGive) {
  EXPECT_THAT(TrainFloor({}).status().message(), testing::HasSubstr("--set"));
  FloorEvalOptions options;
  options.known = Groups(1, 1, 0.9, 4);
  EXPECT_EQ(TrainFloor(options).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace likeness
