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

namespace likeness {

// One keypoint and one of its words, with the geometry of Keypoint.
struct LocalFeature {
  uint32_t word = 0;
  uint64_t signature = 0;  // Vocabulary::Signature
  float x = 0;             // pixels of the frame of kLocalFrame; kept to 1/128
  float y = 0;
  float sigma = 0;  // pixels of the frame; kept to a sixteenth of a doubling
  float angle = 0;  // radians in [0, 2 pi); kept to 1/256 of a turn
  friend bool operator==(const LocalFeature&, const LocalFeature&) = default;
};

inline constexpr size_t kLocalRowSize = 18;  // bytes
using LocalRow = std::span<std::byte, kLocalRowSize>;
using ConstLocalRow = std::span<const std::byte, kLocalRowSize>;

// Values beyond what a row can hold are brought to its ends. Packing what was unpacked gives the same bytes.
void PackLocal(const LocalFeature& feature, LocalRow row);
LocalFeature UnpackLocal(ConstLocalRow row);

// A whole value: rows in the order of their words. Errors: DataLoss when it is no whole number of rows.
std::vector<std::byte> PackLocals(std::span<const LocalFeature> features);
absl::StatusOr<std::vector<LocalFeature>> UnpackLocals(std::span<const std::byte> value);

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
