#include "pipeline/picture_features.h"

#include <algorithm>

#include "image/decode.h"
#include "pipeline/parts.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

std::optional<PictureFeatures::One> ValueIn(const FeatureShard& shard, const Signature& signature, ImageSize& size) {
  const std::optional<size_t> at = shard.Find(signature);
  if (!at) return std::nullopt;
  PictureFeatures::One one{shard.info().feature, shard.info().layout,
                           absl::OutOfRangeError(std::string(shard.failure(*at)))};
  if (shard.has_value(*at)) {
    const auto bytes = shard.value(*at);
    one.value = std::vector<std::byte>(bytes.begin(), bytes.end());
    size = shard.image_size(*at);
  }
  return one;
}

}  // namespace

absl::StatusOr<PictureFeatures> ComputeFeatures(const Home& home, std::span<const std::byte> bytes,
                                                const Extractors& extractors) {
  PictureFeatures all;
  std::vector<DecodeSize> sizes;
  std::vector<std::vector<Pixels>> decoded;
  for (const auto& extractor : extractors) {
    const DecodeSize size = extractor->decode_size();
    if (std::ranges::find(sizes, size) != sizes.end()) continue;
    LIKENESS_ASSIGN_OR_RETURN(Pixels pixels, DecodeImage(bytes, home.config().image, size));
    all.size = {static_cast<int32_t>(pixels.full_width), static_cast<int32_t>(pixels.full_height)};
    sizes.push_back(size);
    decoded.emplace_back();
    decoded.back().push_back(std::move(pixels));
  }
  for (const auto& extractor : extractors) {
    const auto at = static_cast<size_t>(std::ranges::find(sizes, extractor->decode_size()) - sizes.begin());
    LIKENESS_ASSIGN_OR_RETURN(std::vector<FeatureValue> values, extractor->Extract(decoded[at]));
    LIKENESS_CHECK(values.size() == 1);
    all.features.push_back({extractor->key(), extractor->layout(), std::move(values[0])});
  }
  return all;
}

absl::StatusOr<PictureFeatures> StoredFeatures(Home& home, const ImageRecord& image, const Extractors& extractors) {
  PictureFeatures all;
  if (!image.shard) return all;
  const ShardId shard{image.epoch, *image.shard};
  for (const auto& extractor : extractors) {
    std::optional<PictureFeatures::One> one;
    absl::StatusOr<Blob> blob = home.objects().Get(FeatureShardKey(extractor->key(), shard));
    if (blob.ok()) {
      LIKENESS_ASSIGN_OR_RETURN(const FeatureShard sealed, FeatureShard::Open(*std::move(blob)));
      one = ValueIn(sealed, image.signature, all.size);
    } else if (absl::IsNotFound(blob.status())) {
      LIKENESS_ASSIGN_OR_RETURN(const auto parts, OpenParts(home, extractor->key(), shard));
      for (const FeatureShard& part : parts) {
        if (!one || !one->value.ok()) one = ValueIn(part, image.signature, all.size);
      }
    } else {
      return blob.status();
    }
    if (one && one->value.ok()) all.features.push_back(*std::move(one));
  }
  return all;
}

}  // namespace likeness
