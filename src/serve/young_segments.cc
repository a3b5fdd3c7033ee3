#include "serve/young_segments.h"

#include <algorithm>

#include "index/segment_writer.h"
#include "kernel/half.h"
#include "pipeline/binarizers.h"
#include "pipeline/materialise.h"

namespace likeness {
namespace {

// The class of size: 0 for 1 to 3 pictures, 1 for 4 to 15, and so on.
size_t LevelOf(size_t pictures) {
  size_t level = 0;
  for (; pictures >= kYoungFanIn; pictures /= kYoungFanIn) ++level;
  return level;
}

Fingerprint FingerprintOf(const YoungBatch& batch, const Signature& signature, const YoungRecipe& recipe) {
  Fingerprint fingerprint;
  fingerprint.signature = signature;
  for (const Release::Feature& feature : recipe.features) {
    const FeatureShard* shard = batch.Find(feature.key);
    const std::optional<size_t> at = shard == nullptr ? std::nullopt : shard->Find(signature);
    if (!at || !shard->has_value(*at)) continue;
    const ImageSize size = shard->image_size(*at);
    fingerprint.width = static_cast<uint32_t>(size.width);
    fingerprint.height = static_cast<uint32_t>(size.height);
    const auto binarizer = recipe.binarizers.find(feature.key);
    if (binarizer == recipe.binarizers.end()) {
      fingerprint.plain.push_back({feature.key, std::string(AsText(shard->value(*at)))});
      continue;
    }
    std::vector<float> vector(shard->info().layout.dimension);
    if (vector.size() != binarizer->second.dimension()) continue;
    HalfToFloat(shard->halves(*at), vector);
    fingerprint.deep.push_back({feature.key, binarizer->second.Encode(vector)});
  }
  return fingerprint;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const YoungRecipe>> YoungRecipe::Read(Home& home, const Release& release,
                                                                     const FeatureKey& query) {
  auto recipe = std::make_shared<YoungRecipe>();
  recipe->features = release.features;
  recipe->query = query;
  for (const Release::Feature& feature : release.features) {
    if (feature.binarizer.empty()) continue;
    LIKENESS_ASSIGN_OR_RETURN(Binarizer binarizer, ReadBinarizer(home, feature.key, feature.binarizer));
    recipe->binarizers.emplace(feature.key, std::move(binarizer));
  }
  return recipe;
}

absl::StatusOr<YoungItem> BuildYoungItem(std::shared_ptr<const YoungObject> object, const YoungRecipe& recipe) {
  std::vector<SegmentWriter::Deep> deep;
  for (const auto& [key, binarizer] : recipe.binarizers) {
    deep.push_back({key, {static_cast<uint32_t>(binarizer.bits()), static_cast<uint32_t>(binarizer.dimension())}});
  }
  LIKENESS_ASSIGN_OR_RETURN(SegmentWriter writer,
                            SegmentWriter::Create(std::move(deep), PlainColumnsOf(recipe.features)));
  for (const Signature& signature : object->signatures) {
    const Fingerprint fingerprint = FingerprintOf(object->batch, signature, recipe);
    const auto query = [&](const Fingerprint::Deep& one) { return one.key == recipe.query; };
    if (std::ranges::none_of(fingerprint.deep, query)) continue;
    LIKENESS_RETURN_IF_ERROR(writer.Add(fingerprint));
  }
  YoungItem item{std::move(object), nullptr};
  if (writer.doc_count() == 0) return item;
  const auto bytes = std::make_shared<const std::vector<std::byte>>(writer.Seal());
  LIKENESS_ASSIGN_OR_RETURN(item.segment, Segment::Open(*bytes, bytes));
  return item;
}

std::vector<size_t> PlanMerge(std::span<const size_t> sizes, std::span<const size_t> wanted) {
  std::map<size_t, std::vector<size_t>> levels;
  std::vector<size_t> wasted;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (2 * wanted[i] < sizes[i]) wasted.push_back(i);
    if (wanted[i] * kYoungFanIn <= kMostYoungImages) levels[LevelOf(std::max<size_t>(1, wanted[i]))].push_back(i);
  }
  for (auto& [level, items] : levels) {
    if (items.size() < kYoungFanIn) continue;
    // Not more than fit into one.
    size_t images = 0, count = 0;
    while (count < items.size() && images + wanted[items[count]] <= kMostYoungImages) images += wanted[items[count++]];
    return {items.begin(), items.begin() + static_cast<std::ptrdiff_t>(count)};
  }
  if (wasted.empty()) return {};
  return {wasted.front()};
}

}  // namespace likeness
