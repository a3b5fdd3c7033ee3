#include "pipeline/features.h"

#include <functional>
#include <map>

#include "feature/deep_feature.h"

namespace likeness {
namespace {

// How one type of feature comes about: its keys, and what computes them, for everything that the home configures.
struct Maker {
  std::function<absl::Status(const Home&, std::vector<FeatureKey>&)> keys;
  std::function<absl::Status(const Home&, Extractors&)> extractors;
};

absl::Status DeepKeys(const Home& home, std::vector<FeatureKey>& keys) {
  for (const std::string& name : home.config().models) {
    LIKENESS_ASSIGN_OR_RETURN(const ModelFiles model, home.models().Find(name));
    keys.push_back(DeepFeatureKey(model.card));
  }
  return absl::OkStatus();
}

absl::Status DeepExtractors(const Home& home, Extractors& extractors) {
  for (const std::string& name : home.config().models) {
    LIKENESS_ASSIGN_OR_RETURN(const ModelFiles model, home.models().Find(name));
    LIKENESS_ASSIGN_OR_RETURN(std::shared_ptr<const DeepExtractor> deep, DeepExtractor::Create(model));
    extractors.push_back(MakeDeepFeature(std::move(deep)));
  }
  return absl::OkStatus();
}

const std::map<std::string, Maker, std::less<>>& Makers() {
  static const auto* const makers = new std::map<std::string, Maker, std::less<>>{{"deep", {DeepKeys, DeepExtractors}}};
  return *makers;
}

}  // namespace

absl::StatusOr<Extractors> CurrentExtractors(const Home& home) {
  Extractors extractors;
  for (const std::string& type : home.config().features) {
    LIKENESS_RETURN_IF_ERROR(Makers().at(type).extractors(home, extractors));
  }
  return extractors;
}

absl::StatusOr<std::vector<FeatureKey>> CurrentFeatures(const Home& home) {
  std::vector<FeatureKey> keys;
  for (const std::string& type : home.config().features) LIKENESS_RETURN_IF_ERROR(Makers().at(type).keys(home, keys));
  return keys;
}

std::vector<FeatureKey> KeysOf(const Extractors& extractors) {
  std::vector<FeatureKey> keys;
  for (const auto& extractor : extractors) keys.push_back(extractor->key());
  return keys;
}

}  // namespace likeness
