#include "feature/local.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>
#include <string>
#include <tuple>

namespace likeness {
namespace {

// Raised whenever this code would give other values for the same picture and vocabulary, that of the descriptors aside.
constexpr int kRevision = 1;

constexpr float kStepsAPixel = 65536.0f / kLocalFrame;
constexpr float kStepsADoubling = 16;
constexpr float kLowestLog = -4;  // of sigma, to base 2
constexpr float kStepsATurn = 256;
constexpr float kTurn = static_cast<float>(2 * std::numbers::pi);

template <typename T>
void Put(std::byte*& to, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) *to++ = static_cast<std::byte>(value >> (8 * i));
}

template <typename T>
T Take(const std::byte*& from) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<T>(*from++) << (8 * i));
  return value;
}

// `value` in [0, most], also where it is not finite.
uint32_t Bounded(float value, float most) { return static_cast<uint32_t>(value > 0 ? std::min(value, most) : 0.0f); }

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

void PackLocal(const LocalFeature& feature, LocalRow row) {
  std::byte* to = row.data();
  Put(to, feature.word);
  Put(to, feature.signature);
  Put(to, static_cast<uint16_t>(Bounded(feature.x * kStepsAPixel, 65535)));
  Put(to, static_cast<uint16_t>(Bounded(feature.y * kStepsAPixel, 65535)));
  const float log = feature.sigma > 0 ? std::log2(feature.sigma) : kLowestLog;
  Put(to, static_cast<uint8_t>(Bounded((log - kLowestLog) * kStepsADoubling + 0.5f, 255)));
  const auto turns =
      static_cast<int>(std::isfinite(feature.angle) ? std::lround(feature.angle / kTurn * kStepsATurn) : 0);
  Put(to, static_cast<uint8_t>(turns & 255));
}

LocalFeature UnpackLocal(ConstLocalRow row) {
  const std::byte* from = row.data();
  LocalFeature feature;
  feature.word = Take<uint32_t>(from);
  feature.signature = Take<uint64_t>(from);
  feature.x = (static_cast<float>(Take<uint16_t>(from)) + 0.5f) / kStepsAPixel;
  feature.y = (static_cast<float>(Take<uint16_t>(from)) + 0.5f) / kStepsAPixel;
  feature.sigma = std::exp2(static_cast<float>(Take<uint8_t>(from)) / kStepsADoubling + kLowestLog);
  feature.angle = static_cast<float>(Take<uint8_t>(from)) / kStepsATurn * kTurn;
  return feature;
}

std::vector<std::byte> PackLocals(std::span<const LocalFeature> features) {
  std::vector<std::array<std::byte, kLocalRowSize>> rows(features.size());
  for (size_t i = 0; i < features.size(); ++i) PackLocal(features[i], rows[i]);
  // By word, then by all else: the order of the keypoints leaves no trace.
  std::ranges::sort(rows, {}, [](const std::array<std::byte, kLocalRowSize>& row) {
    const std::byte* from = row.data();
    const auto word = Take<uint32_t>(from);
    return std::pair(word, row);
  });
  std::vector<std::byte> value(rows.size() * kLocalRowSize);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::ranges::copy(rows[i], value.begin() + static_cast<ptrdiff_t>(i * kLocalRowSize));
  }
  return value;
}

absl::StatusOr<std::vector<LocalFeature>> UnpackLocals(std::span<const std::byte> value) {
  if (value.size() % kLocalRowSize != 0) {
    return absl::DataLossError("a value of local features of " + std::to_string(value.size()) +
                               " bytes, which is no multiple of " + std::to_string(kLocalRowSize));
  }
  std::vector<LocalFeature> features;
  features.reserve(value.size() / kLocalRowSize);
  for (; !value.empty(); value = value.subspan(kLocalRowSize)) {
    features.push_back(UnpackLocal(value.first<kLocalRowSize>()));
  }
  return features;
}

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
