#include "rank/weights.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace likeness {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr char kFormat[] = "likeness.ranker";
constexpr int kVersion = 1;

absl::Status Damaged(const std::string& what) { return absl::DataLossError("not a ranking model: " + what); }

}  // namespace

std::string FormatWeights(const SignalWeights& weights) {
  ordered_json list = ordered_json::object();
  for (size_t i = 0; i < kSignals; ++i) {
    if (weights.values[i] != 0) list[std::string(kSignalNames[i])] = weights.values[i];
  }
  return ordered_json{{"format", kFormat}, {"format_version", kVersion}, {"weights", std::move(list)}}.dump(1) + "\n";
}

absl::StatusOr<SignalWeights> ParseWeights(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || object.value("format", json()) != kFormat) {
    return Damaged("'format' is not \"likeness.ranker\"");
  }
  const json version = object.value("format_version", json()), list = object.value("weights", json());
  if (!version.is_number_integer()) return Damaged("'format_version' is not a number");
  if (version.get<int64_t>() > kVersion) {
    return absl::UnimplementedError("this ranking model was made by a newer version of the program");
  }
  if (!list.is_object()) return Damaged("it has no 'weights'");
  SignalWeights weights;
  weights.values = {};
  for (const auto& [name, value] : list.items()) {
    const std::optional<Signal> signal = ParseSignal(name);
    if (!signal) return Damaged("there is no signal '" + name.substr(0, 64) + "'");
    if (!value.is_number()) return Damaged("the weight of '" + name + "' is not a number");
    const auto weight = static_cast<float>(value.get<double>());
    if (!std::isfinite(weight)) return Damaged("the weight of '" + name + "' is not finite");
    weights[*signal] = weight;
  }
  return weights;
}

}  // namespace likeness
