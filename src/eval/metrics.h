// How good a ranked list is, and how sure one may be of a mean.
//
// A ranked list is judged through flags: relevant[i] is not 0 where the result at rank i + 1 is relevant to the query.
// Ties are none of its business: whoever ranks breaks them (by signature, as a search does), so that a list is one
// list. All functions may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace likeness {

// Relevant results among the first k, divided by k, also where fewer than k results or relevant pictures exist: in
// [0, 1]. REQUIRES: k > 0
double PrecisionAt(std::span<const uint8_t> relevant, size_t k);

// The mean, over the `total` pictures that are relevant, of the precision at the rank of each; one that is not in the
// list counts 0. In [0, 1]; 0 when `total` is 0. (E. Voorhees and D. Harman, TREC: "uninterpolated average precision".)
// REQUIRES: `relevant` has at most `total` flags set
double AveragePrecision(std::span<const uint8_t> relevant, size_t total);

// 0 of nothing.
double Mean(std::span<const double> values);

// The smallest value that at least `share` of all values do not exceed (nearest rank); 0 of nothing.
// REQUIRES: 0 < share <= 1
double Quantile(std::vector<double> values, double share);

struct Interval {
  double low = 0;
  double high = 0;
  friend bool operator==(const Interval&, const Interval&) = default;
};

struct BootstrapOptions {
  size_t resamples = 1000;
  double confidence = 0.95;
  uint64_t seed = 1;
};

// A confidence interval of the mean by the percentile bootstrap (B. Efron, 1979): values are drawn with replacement, as
// many as there are, and the middle `confidence` of the means is kept. The same values, options and machine-independent
// seed give the same interval; of nothing it is [0, 0].
Interval BootstrapMean(std::span<const double> values, const BootstrapOptions& options = {});

}  // namespace likeness
