// Logistic regression of few inputs: what calibrations and linear rankers are fitted with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace likeness {

struct LogisticOptions {
  double ridge = 1e-3;  // on the weights of standardized inputs, for each unit of an example's mean weight
  // Inputs whose weight must not be negative, by column; empty: none. One that would be is given the weight 0.
  std::vector<bool> nonnegative = {};
};

// P(label) = 1 / (1 + exp(-(bias + sum of weight * (input - center)))).
struct LogisticFit {
  std::vector<double> weights, centers;  // [columns], in the inputs' own units
  double bias = 0;

  double Probability(std::span<const double> row) const;
};

// Newton's method on the regularized likelihood, which has one optimum: the same arguments give the same fit.
// `rows` is [labels.size(), columns]; NaN means not known and counts as the mean of its column. `importance` weighs
// examples, each at least 0. Errors: InvalidArgument when examples of either kind are missing or a number is infinite.
// REQUIRES: rows.size() == labels.size() * columns, importance.size() == labels.size()
absl::StatusOr<LogisticFit> FitLogistic(std::span<const double> rows, size_t columns, std::span<const uint8_t> labels,
                                        std::span<const double> importance, const LogisticOptions& options = {});

}  // namespace likeness
