#include "pipeline/binarizers.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "kernel/half.h"
#include "store/feature_shard.h"
#include "store/object_keys.h"
#include "store/safetensors.h"

namespace likeness {
namespace {

constexpr uint64_t kSeed = 20150810;  // Any number will do; it must only stay the same.
constexpr uint64_t kGrowth = 4;
constexpr char kFlips[] = "flips";

absl::StatusOr<uint64_t> WholeNumber(const Safetensors& file, std::string_view key) {
  LIKENESS_ASSIGN_OR_RETURN(const std::string text, file.Metadata(key));
  uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) {
    return absl::DataLossError("the binarizer's " + std::string(key) + " is no number");
  }
  return value;
}

std::string KeyOf(const FeatureKey& feature, const std::string& digest) { return BinarizerKey(feature.type, digest); }

struct Sample {
  std::vector<float> vectors;
  uint64_t count = 0;      // in `vectors`
  uint64_t available = 0;  // in all sealed shards
  size_t dimension = 0;
};

absl::StatusOr<std::vector<FeatureShard>> SealedShards(Home& home, const FeatureKey& feature) {
  LIKENESS_ASSIGN_OR_RETURN(const auto objects, ListAll(home.objects(), FeaturePrefix(feature)));
  std::vector<FeatureShard> shards;
  for (const ObjectInfo& object : objects) {
    const auto key = ObjectKey::Parse(object.key);
    if (!key || key->kind != ObjectKey::Kind::kFeatureShard) continue;
    LIKENESS_ASSIGN_OR_RETURN(Blob blob, home.objects().Get(object.key));
    LIKENESS_ASSIGN_OR_RETURN(FeatureShard shard, FeatureShard::Open(std::move(blob)));
    shards.push_back(std::move(shard));
  }
  return shards;
}

Sample Draw(const std::vector<FeatureShard>& shards) {
  Sample sample;
  for (const FeatureShard& shard : shards) sample.available += shard.size();
  if (!shards.empty()) sample.dimension = shards.front().info().layout.dimension;
  // Every stride-th image: signatures are digests, so that this is a random sample.
  const uint64_t stride = std::max<uint64_t>(1, sample.available / kBinarizerSample);
  uint64_t position = 0;
  std::vector<float> vector(sample.dimension);
  for (const FeatureShard& shard : shards) {
    for (size_t i = 0; i < shard.size(); ++i, ++position) {
      if (position % stride != 0 || !shard.has_value(i)) continue;
      HalfToFloat(shard.halves(i), vector);
      sample.vectors.insert(sample.vectors.end(), vector.begin(), vector.end());
      ++sample.count;
    }
  }
  return sample;
}

absl::Status Store(Home& home, const FeatureKey& feature, const StoredBinarizer& made, uint64_t trained_on) {
  const Binarizer& binarizer = made.binarizer;
  const bool flips = !binarizer.flips().empty();
  const TensorData mean{{"mean", Dtype::kF32, {binarizer.dimension()}}, std::as_bytes(binarizer.mean())};
  const TensorData turning =
      flips ? TensorData{{kFlips, Dtype::kU64, {binarizer.flips().size()}}, std::as_bytes(binarizer.flips())}
            : TensorData{{"rotation", Dtype::kF32, {binarizer.bits(), binarizer.dimension()}},
                         std::as_bytes(binarizer.rotation())};
  const TensorData tensors[] = {mean, turning};
  SafetensorsMetadata facts = {{"format", flips ? "likeness.binarizer.2" : "likeness.binarizer.1"},
                               {"feature", feature.ToString()},
                               {"trained_on", std::to_string(trained_on)}};
  if (flips) facts["bits"] = std::to_string(binarizer.bits());
  LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, WriteSafetensors(tensors, facts));
  const absl::Status put = home.objects().Put(KeyOf(feature, made.digest), AsBytes(bytes), {.if_absent = true});
  return absl::IsAlreadyExists(put) ? absl::OkStatus() : put;
}

}  // namespace

absl::StatusOr<std::vector<BinarizerEntry>> ListBinarizers(Home& home, const std::string& feature_type) {
  const std::string prefix = feature_type.empty() ? "binarizers/" : "binarizers/" + feature_type + "/";
  LIKENESS_ASSIGN_OR_RETURN(const auto objects, ListAll(home.objects(), prefix));
  std::vector<BinarizerEntry> found;
  for (const ObjectInfo& object : objects) {
    const std::optional<ObjectKey> key = ObjectKey::Parse(object.key);
    if (!key || key->kind != ObjectKey::Kind::kBinarizer) continue;
    absl::StatusOr<Blob> blob = home.objects().Get(object.key);
    if (absl::IsNotFound(blob.status())) continue;
    LIKENESS_RETURN_IF_ERROR(blob.status());
    LIKENESS_ASSIGN_OR_RETURN(const Safetensors file, Safetensors::Open(*std::move(blob)));
    LIKENESS_ASSIGN_OR_RETURN(const std::string version, file.Metadata("feature"));
    const std::optional<FeatureKey> feature = FeatureKey::Parse(version);
    if (!feature) return absl::DataLossError(object.key + ": '" + version + "' is no feature version");
    BinarizerEntry entry;
    entry.feature = *feature;
    entry.digest = key->feature.version;
    LIKENESS_ASSIGN_OR_RETURN(entry.trained_on, WholeNumber(file, "trained_on"));
    const Safetensors::Tensor* rotation = file.Find("rotation");
    if (rotation != nullptr && rotation->spec.shape.size() == 2) entry.bits = rotation->spec.shape[0];
    if (file.Find(kFlips) != nullptr) {
      LIKENESS_ASSIGN_OR_RETURN(entry.bits, WholeNumber(file, "bits"));
    }
    found.push_back(std::move(entry));
  }
  return found;
}

const BinarizerEntry* BestBinarizer(const std::vector<BinarizerEntry>& entries, const FeatureKey& feature,
                                    uint64_t bits) {
  const BinarizerEntry* best = nullptr;
  for (const BinarizerEntry& one : entries) {
    if (one.feature != feature || one.bits != bits) continue;
    if (best == nullptr || one.trained_on > best->trained_on) best = &one;
  }
  return best;
}

uint64_t CodeBits(const Home& home, uint64_t dimension) {
  const uint64_t wanted = home.config().code_bits == 0 ? dimension : home.config().code_bits;
  return (wanted + 63) / 64 * 64;
}

absl::StatusOr<StoredBinarizer> EnsureBinarizer(Home& home, const FeatureKey& feature) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureShard> shards, SealedShards(home, feature));
  if (shards.empty()) return absl::FailedPreconditionError("no shard of " + feature.ToString() + " is computed yet");
  uint64_t available = 0;
  for (const FeatureShard& shard : shards) available += shard.size();
  const uint64_t bits = CodeBits(home, shards.front().info().layout.dimension);
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<BinarizerEntry> stored, ListBinarizers(home, feature.type));
  const BinarizerEntry* best = BestBinarizer(stored, feature, bits);
  const bool outgrown = best != nullptr && best->trained_on < kBinarizerSample / kGrowth &&
                        available >= std::max<uint64_t>(1, best->trained_on) * kGrowth;
  if (best != nullptr && !outgrown) {
    LIKENESS_ASSIGN_OR_RETURN(Binarizer binarizer, ReadBinarizer(home, feature, best->digest));
    return StoredBinarizer{best->digest, std::move(binarizer)};
  }
  const Sample sample = Draw(shards);
  Binarizer binarizer = Binarizer::Train(sample.vectors, sample.dimension, bits, kSeed);
  StoredBinarizer made{binarizer.Digest().substr(0, 12), std::move(binarizer)};
  LIKENESS_RETURN_IF_ERROR(Store(home, feature, made, sample.count));
  return made;
}

absl::StatusOr<Binarizer> ReadBinarizer(Home& home, const FeatureKey& feature, const std::string& digest) {
  LIKENESS_ASSIGN_OR_RETURN(Blob blob, home.objects().Get(KeyOf(feature, digest)));
  LIKENESS_ASSIGN_OR_RETURN(const Safetensors file, Safetensors::Open(std::move(blob)));
  LIKENESS_ASSIGN_OR_RETURN(const auto mean, file.Elements<float>("mean", Dtype::kF32));
  if (file.Find(kFlips) != nullptr) {
    LIKENESS_ASSIGN_OR_RETURN(const auto flips, file.Elements<uint64_t>(kFlips, Dtype::kU64));
    LIKENESS_ASSIGN_OR_RETURN(const uint64_t bits, WholeNumber(file, "bits"));
    return Binarizer::FromFlips({mean.begin(), mean.end()}, {flips.begin(), flips.end()}, bits);
  }
  LIKENESS_ASSIGN_OR_RETURN(const auto rotation, file.Elements<float>("rotation", Dtype::kF32));
  return Binarizer::FromParts({mean.begin(), mean.end()}, {rotation.begin(), rotation.end()});
}

}  // namespace likeness
