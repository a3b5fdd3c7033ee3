#include "pipeline/features.h"

namespace likeness {

absl::StatusOr<Extractors> CurrentExtractors(const Home& home) {
  Extractors extractors;
  for (const std::string& name : home.config().models) {
    LIKENESS_ASSIGN_OR_RETURN(const ModelFiles model, home.models().Find(name));
    LIKENESS_ASSIGN_OR_RETURN(std::shared_ptr<const DeepExtractor> extractor, DeepExtractor::Create(model));
    extractors.push_back(std::move(extractor));
  }
  return extractors;
}

absl::StatusOr<std::vector<FeatureKey>> CurrentFeatures(const Home& home) {
  std::vector<FeatureKey> keys;
  for (const std::string& name : home.config().models) {
    LIKENESS_ASSIGN_OR_RETURN(const ModelFiles model, home.models().Find(name));
    keys.push_back(DeepFeatureKey(model.card));
  }
  return keys;
}

}  // namespace likeness
