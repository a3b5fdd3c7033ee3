#include "pipeline/metadata.h"

#include <algorithm>
#include <span>
#include <utility>

#include "catalog/words.h"
#include "index/metadata.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

constexpr size_t kAtOnce = 4096;  // images whose pins are read in one go

}  // namespace

std::vector<std::string> WordsOfPins(std::span<const Pin> pins) {
  std::string text;
  for (const Pin& pin : pins) text += pin.description + "\n" + pin.board_title + "\n";
  return WordsOf(text);
}

std::vector<Annotation> AnnotationsOfPins(std::span<const Pin> pins) {
  std::vector<Annotation> annotations;
  for (const std::string& word : WordsOfPins(pins)) annotations.push_back({AnnotationWord(word), 1});
  std::ranges::sort(annotations, {}, &Annotation::word);
  const auto twice = std::ranges::unique(annotations, {}, &Annotation::word);
  annotations.erase(twice.begin(), twice.end());
  return annotations;
}

absl::StatusOr<std::vector<std::byte>> MakeMetadata(Catalog& catalog, const Segment& segment) {
  std::vector<DocumentFacts> documents;
  const std::span<const Signature> all = segment.signatures();
  for (size_t begin = 0; begin < all.size(); begin += kAtOnce) {
    const auto part = all.subspan(begin, std::min(kAtOnce, all.size() - begin));
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<Pin> pins, catalog.Pins(part));
    // Pins come in the order of the signatures that were asked for.
    for (size_t at = 0; const Signature& signature : part) {
      const size_t first = at;
      while (at < pins.size() && pins[at].image == signature) ++at;
      const auto own = std::span(pins).subspan(first, at - first);
      documents.push_back({signature, WordsOfPins(own), static_cast<uint32_t>(own.size())});
    }
  }
  return SealMetadata(documents);
}

absl::StatusOr<std::string> SealShardMetadata(Home& home, std::string_view generation, const ShardId& shard) {
  LIKENESS_ASSIGN_OR_RETURN(const Blob blob, home.objects().Get(SegmentKey(generation, shard)));
  LIKENESS_ASSIGN_OR_RETURN(const auto segment, Segment::Open(blob.bytes()));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, MakeMetadata(home.catalog(), *segment));
  const std::string digest = Sha256Hex(bytes).substr(0, 12);
  const absl::Status put = home.objects().Put(MetadataKey(generation, shard, digest), bytes, {.if_absent = true});
  if (!put.ok() && !absl::IsAlreadyExists(put)) return put;
  return digest;
}

absl::StatusOr<std::shared_ptr<const Segment>> OpenShardMetadata(ObjectStore& objects, std::string_view generation,
                                                                 const Release::Shard& shard, const Segment& segment) {
  if (shard.metadata.empty()) return nullptr;
  const std::string key = MetadataKey(generation, shard.id, shard.metadata);
  LIKENESS_ASSIGN_OR_RETURN(Blob blob, objects.Get(key));
  const auto owner = std::make_shared<const Blob>(std::move(blob));
  absl::StatusOr<std::shared_ptr<const Segment>> metadata = Segment::Open(owner->bytes(), owner);
  if (!metadata.ok()) return Annotate(metadata.status(), key);
  if ((*metadata)->doc_count() != segment.doc_count()) {
    return absl::DataLossError(key + " is not about the images of its shard: run `likeness index`");
  }
  return metadata;
}

}  // namespace likeness
