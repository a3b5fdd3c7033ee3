#include "feature/local.h"

#include <algorithm>
#include <string>
#include <tuple>

namespace likeness {
namespace {

// Raised whenever this code would give other values for the same picture and vocabulary, that of the descriptors aside.
constexpr int kRevision = 1;

class LocalExtractor final : public Extractor {
 public:
  explicit LocalExtractor(std::shared_ptr<const Vocabulary> vocabulary)
      : vocabulary_(std::move(vocabulary)), key_(LocalFeatureKey(*vocabulary_)) {}

  const FeatureKey& key() const override { return key_; }
  FeatureLayout layout() const override { return {Dtype::kU8, kLocalRowSize, /*ragged=*/true}; }

  absl::StatusOr<std::vector<FeatureValue>> Extract(std::span<const Pixels> pictures) const override {
    std::vector<FeatureValue> values;
    values.reserve(pictures.size());
    for (const Pixels& picture : pictures) {
      const absl::StatusOr<LocalFeatures> features = ExtractLocal(picture);
      if (features.ok()) {
        values.emplace_back(PackLocals(AssignWords(*features, *vocabulary_)));
      } else {
        values.emplace_back(absl::DataLossError(MessageOf(features.status())));
      }
    }
    return values;
  }

 private:
  std::shared_ptr<const Vocabulary> vocabulary_;
  FeatureKey key_;
};

}  // namespace

std::vector<LocalFeature> AssignWords(const LocalFeatures& features, const Vocabulary& vocabulary, size_t nearest) {
  std::vector<LocalFeature> assigned;
  assigned.reserve(features.size() * nearest);
  std::array<WordMatch, WordSearch::kMostNearest> matches;
  const std::span<WordMatch> wanted = std::span(matches).first(std::clamp<size_t>(nearest, 1, matches.size()));
  std::vector<WordMatch> single(wanted.size() == 1 ? features.size() : 0);
  vocabulary.search().NearestOfEach(features.descriptors, WordSearch::kDefaultProbes, single);
  for (size_t i = 0; i < features.size(); ++i) {
    const Keypoint& keypoint = features.keypoints[i];
    size_t found = 1;
    if (single.empty()) {
      found = vocabulary.search().Nearest(features.descriptor(i), WordSearch::kDefaultProbes, wanted);
    } else {
      matches[0] = single[i];
    }
    for (size_t j = 0; j < found; ++j) {
      assigned.push_back({matches[j].word, vocabulary.Signature(features.descriptor(i), matches[j].word), keypoint.x,
                          keypoint.y, keypoint.sigma, keypoint.angle});
    }
  }
  return assigned;
}

FeatureKey LocalFeatureKey(const Vocabulary& vocabulary) { return LocalFeatureKey(vocabulary.digest()); }

FeatureKey LocalFeatureKey(std::string_view vocabulary_digest) {
  return FeatureKey::Of(
      "local", "descriptors=" + std::to_string(kLocalDescriptorRevision) + "\nmost=" + std::to_string(kMostKeypoints) +
                   "\nprobes=" + std::to_string(WordSearch::kDefaultProbes) +
                   "\nvocabulary=" + std::string(vocabulary_digest) + "\nrevision=" + std::to_string(kRevision) + "\n");
}

std::unique_ptr<Extractor> MakeLocalExtractor(std::shared_ptr<const Vocabulary> vocabulary) {
  return std::make_unique<LocalExtractor>(std::move(vocabulary));
}

}  // namespace likeness
