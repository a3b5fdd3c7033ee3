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
  parameters.weights = {4.503, 0, 4.634, -1.371, 0, 0};
  parameters.centers = {0.4937, 0, 0.5396, 0.5187, 0, 0};
  parameters.bias = -0.9805;
  parameters.threshold = 0.143;
  return std::shared_ptr<const FloorModel>(new FloorModel(std::move(parameters)));
}

}  // namespace likeness
