#include "pipeline/features.h"

#include <functional>
#include <map>
#include <utility>

#include "feature/color.h"
#include "feature/deep_feature.h"
#include "feature/hash.h"
#include "feature/local.h"

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
    keys.push_back(DeepFeatureKey(model.card, DeepOptionsOf(home)));
  }
  return absl::OkStatus();
}

absl::Status DeepExtractors(const Home& home, Extractors& extractors) {
  for (const std::string& name : home.config().models) {
    LIKENESS_ASSIGN_OR_RETURN(const ModelFiles model, home.models().Find(name));
    LIKENESS_ASSIGN_OR_RETURN(std::shared_ptr<const DeepExtractor> deep,
                              DeepExtractor::Create(model, DeepOptionsOf(home)));
    extractors.push_back(MakeDeepFeature(std::move(deep)));
  }
  return absl::OkStatus();
}

absl::Status LocalKeys(const Home& home, std::vector<FeatureKey>& keys) {
  LIKENESS_ASSIGN_OR_RETURN(const auto path, FindVocabulary(home.path(), home.config().vocabulary));
  LIKENESS_ASSIGN_OR_RETURN(const std::string digest, ReadVocabularyDigest(path));
  keys.push_back(LocalFeatureKey(digest));
  return absl::OkStatus();
}

absl::Status LocalExtractors(const Home& home, Extractors& extractors) {
  LIKENESS_ASSIGN_OR_RETURN(const auto path, FindVocabulary(home.path(), home.config().vocabulary));
  LIKENESS_ASSIGN_OR_RETURN(std::shared_ptr<const Vocabulary> vocabulary, Vocabulary::Open(path));
  extractors.push_back(MakeLocalExtractor(std::move(vocabulary)));
  return absl::OkStatus();
}

// For a feature that needs nothing of the home.
Maker Plain(FeatureKey (*key)(), std::unique_ptr<Extractor> (*extractor)()) {
  return {[key](const Home&, std::vector<FeatureKey>& keys) {
            keys.push_back(key());
            return absl::OkStatus();
          },
          [extractor](const Home&, Extractors& extractors) {
            extractors.push_back(extractor());
            return absl::OkStatus();
          }};
}

const std::map<std::string, Maker, std::less<>>& Makers() {
  static const auto* const makers = new std::map<std::string, Maker, std::less<>>{
      {"deep", {DeepKeys, DeepExtractors}},
      {"color", Plain(ColorFeatureKey, MakeColorExtractor)},
      {"pdq", Plain(HashFeatureKey, MakeHashExtractor)},
      {"local", {LocalKeys, LocalExtractors}},
  };
  return *makers;
}

}  // namespace

DeepOptions DeepOptionsOf(const Home& home) {
  DeepOptions options;
  options.precision = home.config().precision;
  options.executor = home.config().executor;
  return options;
}

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
