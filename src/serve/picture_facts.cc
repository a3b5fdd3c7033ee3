#include "serve/picture_facts.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "feature/binarizer.h"
#include "feature/deep_feature.h"
#include "image/decode.h"
#include "image/encode.h"
#include "kernel/half.h"
#include "pipeline/binarizers.h"
#include "pipeline/features.h"
#include "store/feature_shard.h"
#include "store/object_keys.h"
#include "store/release.h"

namespace likeness {
namespace {

constexpr uint32_t kShownSide = 1024;
constexpr size_t kFirstComponents = 8;

using State = PictureFacts::State;

// What the feature store has of the image, in words.
absl::StatusOr<std::string> StoredState(Home& home, const FeatureKey& key, const ImageRecord& image) {
  if (!image.shard) return std::string();
  const absl::StatusOr<Blob> blob = home.objects().Get(FeatureShardKey(key, {image.epoch, *image.shard}));
  if (absl::IsNotFound(blob.status())) return std::string();
  LIKENESS_RETURN_IF_ERROR(blob.status());
  const absl::StatusOr<FeatureShard> shard = FeatureShard::Open(*blob);
  if (!shard.ok()) return "damaged: " + MessageOf(shard.status());
  const std::optional<size_t> place = shard->Find(image.signature);
  if (!place) return std::string();
  return shard->has_value(*place) ? std::string("a value") : "no value: " + std::string(shard->failure(*place));
}

// One feature of one picture, decoded as the extractor wants it.
absl::StatusOr<FeatureValue> ExtractOne(const Home& home, const std::string& bytes, const Extractor& extractor) {
  absl::StatusOr<Pixels> pixels = DecodeImage(AsBytes(bytes), home.config().image, extractor.decode_size());
  if (!pixels.ok()) return FeatureValue(pixels.status());
  LIKENESS_ASSIGN_OR_RETURN(std::vector<FeatureValue> values, extractor.Extract({&*pixels, 1}));
  return std::move(values.front());
}

// The binarizer that the current release has for the feature; nothing without one.
std::optional<Binarizer> BinarizerOf(Home& home, const FeatureKey& key) {
  const auto current = ReadCurrent(home.objects());
  if (!current.ok() || !*current) return std::nullopt;
  const auto release = ReadRelease(home.objects(), (*current)->name);
  if (!release.ok()) return std::nullopt;
  for (const Release::Feature& feature : release->features) {
    if (feature.key != key || feature.binarizer.empty()) continue;
    auto binarizer = ReadBinarizer(home, key, feature.binarizer);
    if (binarizer.ok()) return *std::move(binarizer);
  }
  return std::nullopt;
}

PictureFacts::Deep DescribeDeep(Home& home, const FeatureKey& key, std::span<const std::byte> value) {
  PictureFacts::Deep deep;
  deep.key = key;
  deep.dimension = value.size() / sizeof(uint16_t);
  std::vector<uint16_t> halves(deep.dimension);
  std::memcpy(halves.data(), value.data(), halves.size() * sizeof(uint16_t));
  std::vector<float> vector(deep.dimension);
  HalfToFloat(halves, vector);
  for (const float component : vector) deep.norm += static_cast<double>(component) * component;
  deep.norm = std::sqrt(deep.norm);
  deep.first.assign(vector.begin(), vector.begin() + std::min(kFirstComponents, vector.size()));
  if (const std::optional<Binarizer> binarizer = BinarizerOf(home, key);
      binarizer && binarizer->dimension() == vector.size()) {
    deep.code = binarizer->Encode(vector).code;
    deep.code_bits = binarizer->bits();
  }
  return deep;
}

// Gathers the features one after another.
class Gatherer {
 public:
  Gatherer(Home& home, const std::string& bytes, const std::optional<ImageRecord>& record, PictureFacts& facts)
      : home_(home), bytes_(bytes), record_(record), facts_(facts) {}

  absl::Status Run() {
    for (const std::string& name : home_.config().models) LIKENESS_RETURN_IF_ERROR(AddDeep(name));
    LIKENESS_RETURN_IF_ERROR(AddColor());
    LIKENESS_RETURN_IF_ERROR(
        Add(*MakeHashExtractor(), [this](std::span<const std::byte> value) { facts_.hash = ParsePdqValue(value); }));
    return AddLocal();
  }

 private:
  absl::Status Add(const Extractor& extractor, const std::function<void(std::span<const std::byte>)>& take) {
    State state{extractor.key().type, extractor.key().ToString(), {}, {}};
    if (record_) {
      LIKENESS_ASSIGN_OR_RETURN(state.stored, StoredState(home_, extractor.key(), *record_));
    }
    LIKENESS_ASSIGN_OR_RETURN(const FeatureValue value, ExtractOne(home_, bytes_, extractor));
    if (value.ok()) {
      take(*value);
    } else {
      state.reason = MessageOf(value.status());
    }
    facts_.states.push_back(std::move(state));
    return absl::OkStatus();
  }

  // A feature that this home cannot compute: said, never an error.
  absl::Status Lacks(const std::string& type, const absl::Status& why) {
    facts_.states.push_back({type, {}, "not to be had here: " + MessageOf(why), {}});
    return absl::OkStatus();
  }

  absl::Status AddDeep(const std::string& name) {
    const auto model = home_.models().Find(name);
    if (!model.ok()) return Lacks("deep." + name, model.status());
    auto deep = DeepExtractor::Create(*model, DeepOptionsOf(home_));
    if (!deep.ok()) return Lacks("deep." + name, deep.status());
    const auto extractor = MakeDeepFeature(*std::move(deep));
    return Add(*extractor, [&](std::span<const std::byte> value) {
      facts_.deep.push_back(DescribeDeep(home_, extractor->key(), value));
    });
  }

  absl::Status AddColor() {
    LIKENESS_RETURN_IF_ERROR(Add(*MakeColorExtractor(), [this](std::span<const std::byte> value) {
      facts_.colors = ParseColorValue(value).value_or(ColorSignature());
    }));
    const absl::StatusOr<Pixels> pixels = DecodeImage(AsBytes(bytes_), home_.config().image, kStandardSize);
    if (pixels.ok()) facts_.salient = FindSalientRegion(*pixels);
    return absl::OkStatus();
  }

  absl::Status AddLocal() {
    const absl::StatusOr<Pixels> pixels = DecodeImage(AsBytes(bytes_), home_.config().image, kStandardSize);
    if (!pixels.ok()) return absl::OkStatus();
    LIKENESS_ASSIGN_OR_RETURN(facts_.keypoints, ExtractLocal(*pixels));
    const auto path = FindVocabulary(home_.path(), home_.config().vocabulary);
    if (!path.ok()) return Lacks("local", path.status());
    auto vocabulary = Vocabulary::Open(*path);
    if (!vocabulary.ok()) return Lacks("local", vocabulary.status());
    facts_.words = AssignWords(facts_.keypoints, **vocabulary);
    facts_.vocabulary = (*vocabulary)->size();
    State state{"local", LocalFeatureKey(**vocabulary).ToString(), {}, {}};
    if (record_) {
      LIKENESS_ASSIGN_OR_RETURN(state.stored, StoredState(home_, LocalFeatureKey(**vocabulary), *record_));
    }
    facts_.states.push_back(std::move(state));
    return absl::OkStatus();
  }

  Home& home_;
  const std::string& bytes_;
  const std::optional<ImageRecord>& record_;
  PictureFacts& facts_;
};

}  // namespace

absl::StatusOr<PictureFacts> GatherPictureFacts(Home& home, const std::string& bytes,
                                                const std::optional<ImageRecord>& record, std::string source) {
  PictureFacts facts;
  facts.signature = record ? record->signature : Signature::Of(AsBytes(bytes));
  facts.source = std::move(source);
  facts.bytes = bytes.size();
  if (record) {
    facts.known = true;
    facts.format = record->format;
    facts.width = record->width;
    facts.height = record->height;
    facts.epoch = record->epoch.ToString();
    if (record->shard) facts.shard = ShardId{record->epoch, *record->shard}.ToString();
    facts.quarantine = record->reason;
    LIKENESS_ASSIGN_OR_RETURN(facts.pins, home.catalog().Pins({&record->signature, 1}));
  }
  const absl::StatusOr<ImageHeader> header = ReadImageHeader(AsBytes(bytes), home.config().image);
  if (header.ok()) {
    facts.format = header->format;
    facts.width = header->width;
    facts.height = header->height;
  }
  const absl::StatusOr<std::string> jpeg = MakeThumbnail(AsBytes(bytes), home.config().image, kShownSide);
  if (!jpeg.ok()) {
    if (BlameOf(jpeg.status()) == Blame::kWorld) return jpeg.status();
    facts.unreadable = MessageOf(jpeg.status());
    return facts;
  }
  facts.jpeg = *jpeg;
  LIKENESS_RETURN_IF_ERROR(Gatherer(home, bytes, record, facts).Run());
  return facts;
}

}  // namespace likeness
