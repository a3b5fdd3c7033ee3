// The feature `local`: the keypoints of a picture as visual words, with signatures and geometry. What is kept of a
// keypoint is 18 bytes (docs/formats/local.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "feature/extractor.h"
#include "feature/sift.h"
#include "feature/vocabulary.h"
#include "types/feature_key.h"
#include "types/local_feature.h"

namespace likeness {

// Each keypoint with its `nearest` nearest words, nearest first: in the order of `features`, nearest for each one after
// another (fewer where the vocabulary has fewer). A query may ask for several words a keypoint; what is kept has one.
// REQUIRES: 1 <= nearest <= WordSearch::kMostNearest
std::vector<LocalFeature> AssignWords(const LocalFeatures& features, const Vocabulary& vocabulary, size_t nearest = 1);

// Type "local"; the version covers this code and the vocabulary. The second needs only ReadVocabularyDigest.
FeatureKey LocalFeatureKey(const Vocabulary& vocabulary);
FeatureKey LocalFeatureKey(std::string_view vocabulary_digest);

// Ragged rows of 18 bytes. A picture without keypoints has an empty value.
std::unique_ptr<Extractor> MakeLocalExtractor(std::shared_ptr<const Vocabulary> vocabulary);

}  // namespace likeness
