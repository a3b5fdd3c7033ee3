// The calibration of the default model: what `likeness train floor` found (docs/ranking.md says on which pictures).
#include "rank/floor.h"

namespace likeness {
namespace {

constexpr std::string_view kFeature = "deep.efficientnet_lite1";

}  // namespace

std::shared_ptr<const FloorModel> FloorModel::Default(std::string_view feature_type) {
  if (feature_type != kFeature) return nullptr;
  Parameters parameters;
  parameters.feature = kFeature;
  parameters.weights = {3.504, 0, 10.161, -4.442, 0, 0};
  parameters.centers = {0.5065, 0, 0.5464, 0.5292, 0, 0};
  parameters.bias = -1.2545;
  parameters.threshold = 0.115;
  return std::shared_ptr<const FloorModel>(new FloorModel(std::move(parameters)));
}

}  // namespace likeness
