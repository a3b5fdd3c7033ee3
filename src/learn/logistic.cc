#include "learn/logistic.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace likeness {
namespace {

constexpr int kMostSteps = 100;
constexpr double kConverged = 1e-10;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// Solves the symmetric, positive definite system in place; the answer is in `b`.
void Solve(std::vector<double>& a, std::vector<double>& b) {
  const size_t n = b.size();
  for (size_t i = 0; i < n; ++i) {  // Cholesky: a's lower triangle becomes the factor.
    for (size_t j = 0; j <= i; ++j) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / a[j * n + j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
}

struct Scale {
  double center = 0, deviation = 1;
};

std::vector<Scale> ScalesOf(std::span<const double> rows, size_t columns, std::span<const double> importance) {
  std::vector<Scale> scales(columns);
  for (size_t c = 0; c < columns; ++c) {
    double total = 0, sum = 0, squares = 0;
    for (size_t i = 0; i < importance.size(); ++i) {
      const double x = rows[i * columns + c];
      if (std::isnan(x)) continue;
      total += importance[i];
      sum += importance[i] * x;
      squares += importance[i] * x * x;
    }
    if (total <= 0) continue;
    scales[c].center = sum / total;
    const double variance = squares / total - scales[c].center * scales[c].center;
    if (variance > 1e-18) scales[c].deviation = std::sqrt(variance);
  }
  return scales;
}

// Weights of the standardized columns that are `used`, then the bias.
std::vector<double> Newton(std::span<const double> z, size_t columns, std::span<const uint8_t> labels,
                           std::span<const double> importance, const std::vector<bool>& used, double ridge) {
  const size_t n = columns + 1;
  double total = 0;
  for (const double one : importance) total += one;
  std::vector<double> at(n, 0.0);
  for (int step = 0; step < kMostSteps; ++step) {
    std::vector<double> gradient(n, 0.0), hessian(n * n, 0.0), x(n);
    for (size_t i = 0; i < labels.size(); ++i) {
      for (size_t c = 0; c < columns; ++c) x[c] = used[c] ? z[i * columns + c] : 0;
      x[columns] = 1;
      double sum = 0;
      for (size_t c = 0; c < n; ++c) sum += at[c] * x[c];
      const double p = Sigmoid(sum), w = importance[i] / total;
      const double slope = w * (p - (labels[i] != 0 ? 1.0 : 0.0)), bend = w * p * (1 - p);
      for (size_t c = 0; c < n; ++c) {
        gradient[c] += slope * x[c];
        for (size_t d = 0; d <= c; ++d) hessian[c * n + d] += bend * x[c] * x[d];
      }
    }
    for (size_t c = 0; c < columns; ++c) {
      gradient[c] += ridge * at[c];
      hessian[c * n + c] += ridge;
    }
    hessian[columns * n + columns] += 1e-9;
    Solve(hessian, gradient);
    double moved = 0;
    for (size_t c = 0; c < n; ++c) {
      const double by = std::clamp(gradient[c], -4.0, 4.0);  // A far step is taken in parts.
      at[c] -= by;
      moved = std::max(moved, std::abs(by));
    }
    if (moved < kConverged) break;
  }
  return at;
}

}  // namespace

double LogisticFit::Probability(std::span<const double> row) const {
  double sum = bias;
  for (size_t c = 0; c < weights.size(); ++c) {
    if (!std::isnan(row[c])) sum += weights[c] * (row[c] - centers[c]);
  }
  return Sigmoid(sum);
}

absl::StatusOr<LogisticFit> FitLogistic(std::span<const double> rows, size_t columns, std::span<const uint8_t> labels,
                                        std::span<const double> importance, const LogisticOptions& options) {
  LIKENESS_CHECK(rows.size() == labels.size() * columns && importance.size() == labels.size());
  for (const double x : rows) {
    if (std::isinf(x)) return absl::InvalidArgumentError("an example has a number that is not finite");
  }
  double yes = 0, no = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!(importance[i] >= 0) || std::isinf(importance[i])) {
      return absl::InvalidArgumentError("an example's weight is not a number from 0");
    }
    (labels[i] != 0 ? yes : no) += importance[i];
  }
  if (yes <= 0 || no <= 0) {
    return absl::InvalidArgumentError("there must be examples of both kinds, of what is relevant and of what is not");
  }
  const std::vector<Scale> scales = ScalesOf(rows, columns, importance);
  std::vector<double> z(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const Scale& scale = scales[i % columns];
    z[i] = std::isnan(rows[i]) ? 0 : (rows[i] - scale.center) / scale.deviation;
  }
  std::vector<bool> used(columns, true);
  std::vector<double> at = Newton(z, columns, labels, importance, used, options.ridge);
  for (size_t c = 0; c < options.nonnegative.size(); ++c) {
    if (!options.nonnegative[c] || at[c] >= 0) continue;
    used[c] = false;
    at = Newton(z, columns, labels, importance, used, options.ridge);
    c = static_cast<size_t>(-1);  // Without it another may have turned.
  }
  LogisticFit fit;
  for (size_t c = 0; c < columns; ++c) {
    fit.weights.push_back(used[c] ? at[c] / scales[c].deviation : 0);
    fit.centers.push_back(scales[c].center);
  }
  fit.bias = at[columns];
  return fit;
}

}  // namespace likeness
