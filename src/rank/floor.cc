#include "rank/floor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "kernel/hamming.h"
#include "rank/signals.h"

namespace likeness {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr char kFormat[] = "likeness.floor";
constexpr int kVersion = 1;
constexpr double kCopy = 0.995;       // from this cosine on a hit is the query itself
constexpr double kLeastScale = 0.05;  // so that a quotient stays one
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

size_t At(FloorInput input) { return static_cast<size_t>(input); }

struct ListStatistics {
  double best = 0, nearby = 0, cohesion = kUnknown;
};

ListStatistics StatisticsOf(std::span<const Hit* const> hits) {
  ListStatistics list;
  if (hits.empty()) return list;
  const auto near = hits.first(std::min(hits.size(), kFloorNear));
  double pairs = 0;
  size_t pair_count = 0;
  for (size_t i = 0; i < near.size(); ++i) {
    list.best = i == 0 ? near[i]->evidence.cosine.value : std::max<double>(list.best, near[i]->evidence.cosine.value);
    list.nearby += near[i]->evidence.cosine.value / static_cast<double>(near.size());
    for (size_t j = 0; j < i; ++j) {
      const HitTraits &a = near[i]->traits, &b = near[j]->traits;
      if (a.code.empty() || a.code.size() != b.code.size() || a.code.size() > kMaxCodeWords) continue;
      pairs += CodeCosine(HammingDistance(a.code, b.code), near[i]->evidence.code_bits);
      ++pair_count;
    }
  }
  if (pair_count > 0) list.cohesion = pairs / static_cast<double>(pair_count);
  return list;
}

// A few documents say little about how documents scatter: a usual background counts as so many of them.
constexpr double kUsualCount = 32, kUsualDeviation = 0.12;

double BackgroundScore(double cosine, const Background& background) {
  if (background.count == 0) return kUnknown;
  const auto count = static_cast<double>(background.count);
  const double sum = static_cast<double>(background.sum) * Background::kUnit;
  const double squares = static_cast<double>(background.squares) * Background::kUnit;
  const double mean = sum / (count + kUsualCount);
  const double variance =
      (squares + kUsualCount * kUsualDeviation * kUsualDeviation) / (count + kUsualCount) - mean * mean;
  return (cosine - mean) / std::sqrt(std::max(variance, 1e-4));
}

}  // namespace

std::vector<std::optional<FloorInputs>> FloorInputsOf(std::span<const Hit> hits, const Background& background) {
  std::vector<const Hit*> others;
  for (const Hit& hit : hits) {
    if (hit.evidence.code_bits == 0 || hit.evidence.cosine.value >= kCopy) continue;
    others.push_back(&hit);
  }
  // By the look, whatever the score weighs besides.
  std::ranges::stable_sort(
      others, [](const Hit* a, const Hit* b) { return a->evidence.cosine.value > b->evidence.cosine.value; });
  const ListStatistics list = StatisticsOf(others);
  std::vector<std::optional<FloorInputs>> inputs(hits.size());
  for (size_t i = 0; i < hits.size(); ++i) {
    if (hits[i].evidence.code_bits == 0) continue;
    const double cosine = hits[i].evidence.cosine.value;
    FloorInputs& one = inputs[i].emplace();
    one[At(FloorInput::kCosine)] = cosine;
    one[At(FloorInput::kBest)] = others.empty() ? kUnknown : list.best;
    one[At(FloorInput::kNearby)] = others.empty() ? kUnknown : list.nearby;
    one[At(FloorInput::kCohesion)] = list.cohesion;
    one[At(FloorInput::kIsolation)] =
        std::isnan(list.cohesion) ? kUnknown : std::max(list.nearby, 0.0) / std::max(list.cohesion, kLeastScale);
    one[At(FloorInput::kBackground)] = BackgroundScore(cosine, background);
  }
  return inputs;
}

absl::StatusOr<FloorModel> FloorModel::Create(Parameters parameters) {
  bool finite = std::isfinite(parameters.bias);
  for (size_t i = 0; i < kFloorInputs; ++i) {
    finite = finite && std::isfinite(parameters.weights[i]) && std::isfinite(parameters.centers[i]);
  }
  if (!finite) return absl::InvalidArgumentError("a number of the relevance floor is not finite");
  if (!(parameters.threshold >= 0 && parameters.threshold <= 1)) {
    return absl::InvalidArgumentError("the threshold of the relevance floor must be from 0 to 1");
  }
  if (parameters.weights[At(FloorInput::kCosine)] < 0 || parameters.weights[At(FloorInput::kBackground)] < 0) {
    return absl::InvalidArgumentError("by this relevance floor a nearer hit would be less probable: train it anew");
  }
  return FloorModel(std::move(parameters));
}

double FloorModel::Probability(const FloorInputs& inputs) const {
  double sum = parameters_.bias;
  for (size_t i = 0; i < kFloorInputs; ++i) {
    if (parameters_.weights[i] == 0 || std::isnan(inputs[i])) continue;
    sum += parameters_.weights[i] * (inputs[i] - parameters_.centers[i]);
  }
  const double calibrated = 1 / (1 + std::exp(-sum));
  // What is nearly the same vector is the same picture, in whatever company.
  const double copy = std::clamp(1 - (1 - inputs[At(FloorInput::kCosine)]) / 0.1, 0.0, 1.0);
  return std::max(calibrated, copy);
}

void SetProbabilities(const FloorModel& model, const Background& background, std::span<Hit> hits) {
  const auto inputs = FloorInputsOf(hits, background);
  for (size_t i = 0; i < hits.size(); ++i) {
    if (!inputs[i]) continue;
    // Keypoints that lie alike speak for a hit whatever its look as a whole is: a part of it, say. Either is enough.
    const double unlikely = 1 - static_cast<double>(hits[i].evidence.signals[Signal::kTokens]);
    hits[i].evidence.probability = static_cast<float>(1 - (1 - model.Probability(*inputs[i])) * unlikely);
  }
}

std::string FloorModel::ToJson() const {
  ordered_json inputs = ordered_json::object();
  for (size_t i = 0; i < kFloorInputs; ++i) {
    if (parameters_.weights[i] == 0) continue;
    inputs[std::string(kFloorInputNames[i])] = {{"weight", parameters_.weights[i]}, {"center", parameters_.centers[i]}};
  }
  const ordered_json object = {
      {"format", kFormat},           {"format_version", kVersion}, {"feature", parameters_.feature},
      {"inputs", std::move(inputs)}, {"bias", parameters_.bias},   {"threshold", parameters_.threshold}};
  return object.dump(1) + "\n";
}

absl::StatusOr<FloorModel> FloorModel::Parse(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto member = [&](const char* name) { return object.is_object() ? object.value(name, json()) : json(); };
  const auto damaged = [](const std::string& what) { return absl::DataLossError("not a relevance floor: " + what); };
  if (member("format") != kFormat) return damaged("'format' is not \"likeness.floor\"");
  if (!member("format_version").is_number_integer()) return damaged("'format_version' is not a number");
  if (member("format_version").get<int64_t>() > kVersion) {
    return absl::UnimplementedError("this relevance floor was made by a newer version of the program");
  }
  Parameters parameters;
  if (!member("feature").is_string() || !member("bias").is_number() || !member("threshold").is_number() ||
      !member("inputs").is_object()) {
    return damaged("it needs 'feature', 'inputs', 'bias' and 'threshold'");
  }
  parameters.feature = member("feature").get<std::string>();
  parameters.bias = member("bias").get<double>();
  parameters.threshold = member("threshold").get<double>();
  const json inputs = member("inputs");
  for (const auto& [name, value] : inputs.items()) {
    const auto known = std::ranges::find(kFloorInputNames, name);
    if (known == kFloorInputNames.end()) return damaged("there is no input '" + name.substr(0, 64) + "'");
    if (!value.is_object() || !value.value("weight", json()).is_number() ||
        !value.value("center", json()).is_number()) {
      return damaged("input '" + name + "' needs 'weight' and 'center'");
    }
    const auto at = static_cast<size_t>(known - kFloorInputNames.begin());
    parameters.weights[at] = value["weight"].get<double>();
    parameters.centers[at] = value["center"].get<double>();
  }
  auto model = Create(std::move(parameters));
  if (!model.ok()) return damaged(std::string(model.status().message()));
  return model;
}

}  // namespace likeness
