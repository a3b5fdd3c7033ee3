#include "eval/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "base/status.h"

namespace likeness {

double PrecisionAt(std::span<const uint8_t> relevant, size_t k) {
  LIKENESS_CHECK(k > 0);
  const auto first = relevant.first(std::min(k, relevant.size()));
  const auto found = std::ranges::count_if(first, [](uint8_t flag) { return flag != 0; });
  return static_cast<double>(found) / static_cast<double>(k);
}

double AveragePrecision(std::span<const uint8_t> relevant, size_t total) {
  size_t found = 0;
  double sum = 0;
  for (size_t i = 0; i < relevant.size(); ++i) {
    if (relevant[i] == 0) continue;
    ++found;
    sum += static_cast<double>(found) / static_cast<double>(i + 1);
  }
  LIKENESS_CHECK(found <= total);
  return total == 0 ? 0 : sum / static_cast<double>(total);
}

double Mean(std::span<const double> values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double Quantile(std::vector<double> values, double share) {
  LIKENESS_CHECK(share > 0 && share <= 1);
  if (values.empty()) return 0;
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  const size_t index = std::clamp<size_t>(rank, 1, values.size()) - 1;
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(index));
  return values[index];
}

Interval BootstrapMean(std::span<const double> values, const BootstrapOptions& options) {
  LIKENESS_CHECK(options.resamples > 0 && options.confidence > 0 && options.confidence < 1);
  if (values.empty()) return {};
  Random random(options.seed);
  std::vector<double> means(options.resamples);
  for (double& mean : means) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) sum += values[random.Below(values.size())];
    mean = sum / static_cast<double>(values.size());
  }
  const double tail = (1 - options.confidence) / 2;
  return {Quantile(means, tail), Quantile(means, 1 - tail)};
}

}  // namespace likeness
