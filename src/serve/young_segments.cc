#include "serve/young_segments.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"
#include "index/segment_writer.h"
#include "index/token_index.h"
#include "index/token_writer.h"
#include "kernel/half.h"
#include "pipeline/binarizers.h"
#include "pipeline/materialise.h"
#include "pipeline/metadata.h"
#include "pipeline/token_files.h"

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

absl::StatusOr<std::shared_ptr<const Segment>> OpenInMemory(std::vector<std::byte> sealed) {
  const auto bytes = std::make_shared<const std::vector<std::byte>>(std::move(sealed));
  return Segment::Open(*bytes, bytes);
}

// A token file of the segment's documents that nobody else sees: its name goes at once, its bytes with the last reader.
absl::StatusOr<std::shared_ptr<const TokenIndex>> IndexWords(Home& home, const YoungBatch& batch,
                                                             const Segment& segment, const FeatureKey& feature) {
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path scratch, home.ScratchFile("young_tokens"));
  LIKENESS_ASSIGN_OR_RETURN(const auto writer, TokenWriter::Create(scratch, feature));
  const FeatureShard* const rows = batch.Find(feature);
  for (const Signature& signature : segment.signatures()) {
    const std::optional<size_t> at = rows == nullptr ? std::nullopt : rows->Find(signature);
    const bool has = at && rows->has_value(*at);
    const absl::Status added = writer->Add(has ? rows->value(*at) : std::span<const std::byte>());
    if (!added.ok() && !absl::IsDataLoss(added)) return added;
  }
  LIKENESS_RETURN_IF_ERROR(writer->Seal());
  auto index = TokenIndex::Open(scratch, home.token_cache());
  std::error_code unused;
  std::filesystem::remove(scratch, unused);
  return index;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const YoungRecipe>> YoungRecipe::Read(Home& home, const Release& release,
                                                                     const FeatureKey& query) {
  auto recipe = std::make_shared<YoungRecipe>();
  recipe->features = release.features;
  recipe->query = query;
  if (const FeatureKey* const local = LocalFeatureOf(release.features); local != nullptr && home.config().tokens) {
    recipe->words = *local;
  }
  for (const Release::Feature& feature : release.features) {
    if (feature.binarizer.empty()) continue;
    LIKENESS_ASSIGN_OR_RETURN(Binarizer binarizer, ReadBinarizer(home, feature.key, feature.binarizer));
    recipe->binarizers.emplace(feature.key, std::move(binarizer));
  }
  return recipe;
}

absl::StatusOr<YoungItem> BuildYoungItem(Home& home, std::shared_ptr<const YoungObject> object,
                                         const YoungRecipe& recipe) {
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
  YoungItem item{std::move(object)};
  if (writer.doc_count() == 0) return item;
  LIKENESS_ASSIGN_OR_RETURN(item.part.segment, OpenInMemory(writer.Seal()));
  const Segment& segment = *item.part.segment;
  LIKENESS_ASSIGN_OR_RETURN(std::vector<std::byte> metadata, MakeMetadata(home.catalog(), segment));
  LIKENESS_ASSIGN_OR_RETURN(item.part.metadata, OpenInMemory(std::move(metadata)));
  if (recipe.words) {
    auto tokens = IndexWords(home, item.object->batch, segment, *recipe.words);
    if (!tokens.ok()) Log(LogLevel::kWarning, "young_without_words", {{"reason", MessageOf(tokens.status())}});
    if (tokens.ok()) item.part.tokens = *std::move(tokens);
  }
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
