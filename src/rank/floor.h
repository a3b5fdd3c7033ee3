// The calibrated relevance floor: how probable it is that a hit is relevant, from more than how near it is.
//
// A picture of nothing that the collection has still has a nearest neighbor. What gives it away is the company: the
// neighbors are more like each other than like the query. A logistic model over a few statistics of the answer says how
// probable each hit is; `likeness train floor` fits it, docs/ranking.md says how well it does.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "rank/query.h"
#include "types/hit.h"

namespace likeness {

// What the model looks at, of one hit and of the list that it stands in.
enum class FloorInput {
  kCosine,      // of the hit
  kBest,        // the largest cosine of the list
  kNearby,      // the mean cosine of the first kFloorNear hits
  kCohesion,    // how like those are to each other: the mean cosine of pairs, as their codes give it
  kIsolation,   // nearby / cohesion: below 1 the query lies outside of what it is near to
  kBackground,  // how many standard deviations the hit lies above documents drawn at random
};
inline constexpr size_t kFloorInputs = 6;
inline constexpr size_t kFloorNear = 10;
inline constexpr std::array<std::string_view, kFloorInputs> kFloorInputNames = {"cosine",   "best",      "nearby",
                                                                                "cohesion", "isolation", "background"};
using FloorInputs = std::array<double, kFloorInputs>;

// For each hit its inputs; nothing for one that has no cosine (a color alone was asked for). Hits that are the query
// itself or a copy of it say nothing about the others and are not counted for the list. Cohesion needs codes among the
// traits; where it or the background is not known, the input is NaN. Deterministic.
// REQUIRES: hits best first
std::vector<std::optional<FloorInputs>> FloorInputsOf(std::span<const Hit> hits, const Background& background);

// A model; constant. Any thread.
class FloorModel {
 public:
  struct Parameters {
    std::string feature;       // type of the deep feature that it is calibrated for: "deep.efficientnet_lite1"
    FloorInputs weights = {};  // of (input - center); an input that is not known contributes nothing
    FloorInputs centers = {};
    double bias = 0;
    double threshold = 0.5;  // the probability below which a hit is left out, unless a request says otherwise
  };

  // Errors: InvalidArgument when a number is not finite, the threshold not within [0, 1], or a weight would make a
  // nearer hit less probable.
  static absl::StatusOr<FloorModel> Create(Parameters parameters);

  // JSON: docs/formats/floor.md. Errors of parsing: DataLoss with the reason; Unimplemented (a newer format).
  static absl::StatusOr<FloorModel> Parse(std::string_view json);
  std::string ToJson() const;

  // The calibration that comes with the program, of the default model; null for another feature.
  static std::shared_ptr<const FloorModel> Default(std::string_view feature_type);

  const Parameters& parameters() const { return parameters_; }
  double threshold() const { return parameters_.threshold; }
  bool needs_background() const { return parameters_.weights[static_cast<size_t>(FloorInput::kBackground)] != 0; }

  // In [0, 1]; the larger the cosine, the larger, all else equal.
  double Probability(const FloorInputs& inputs) const;

 private:
  explicit FloorModel(Parameters parameters) : parameters_(std::move(parameters)) {}
  Parameters parameters_;
};

// Gives each hit that has a cosine its probability: the model's, or more where Signal::kTokens speaks for it.
void SetProbabilities(const FloorModel& model, const Background& background, std::span<Hit> hits);

}  // namespace likeness
