#include "pipeline/open_snapshot.h"

#include <vector>

#include "base/file.h"
#include "index/segment.h"
#include "pipeline/materialise.h"
#include "pipeline/metadata.h"
#include "pipeline/token_files.h"
#include "store/object_keys.h"

namespace likeness {

absl::StatusOr<std::shared_ptr<const Segment>> OpenSegment(ObjectStore& objects, const std::string& generation,
                                                           const ShardId& shard) {
  const std::string key = SegmentKey(generation, shard);
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path path, objects.LocalFile(key));
  LIKENESS_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  absl::StatusOr<std::shared_ptr<const Segment>> segment = Segment::Open(file->bytes(), file);
  if (!segment.ok()) return Annotate(segment.status(), key);
  return segment;
}

absl::StatusOr<std::shared_ptr<const Segment>> OpenVerifiedSegment(ObjectStore& objects, const std::string& generation,
                                                                   const ShardId& shard) {
  auto segment = OpenSegment(objects, generation, shard);
  if (segment.ok() && (*segment)->Verify().ok()) return segment;
  if (!segment.ok() && BlameOf(segment.status()) != Blame::kData) return segment;
  const std::string key = SegmentKey(generation, shard);
  LIKENESS_ASSIGN_OR_RETURN(Blob blob, objects.Get(key));
  const auto owner = std::make_shared<const Blob>(std::move(blob));
  segment = Segment::Open(owner->bytes(), owner);
  if (!segment.ok()) return Annotate(segment.status(), key);
  if (const absl::Status verified = (*segment)->Verify(); !verified.ok()) return Annotate(verified, key);
  return segment;
}

absl::StatusOr<std::shared_ptr<const TokenIndex>> OpenTokens(ObjectStore& objects, const std::string& generation,
                                                             const ShardId& shard, const Segment& segment,
                                                             const std::shared_ptr<TokenCache>& cache) {
  const std::string key = TokensKey(generation, shard);
  const absl::StatusOr<std::filesystem::path> path = objects.LocalFile(key);
  if (absl::IsNotFound(path.status())) return nullptr;
  LIKENESS_RETURN_IF_ERROR(path.status());
  auto tokens = TokenIndex::Open(*path, cache);
  if (!tokens.ok()) return Annotate(tokens.status(), key);
  if ((*tokens)->doc_count() != segment.doc_count()) {
    return absl::DataLossError(key +
                               " is not of the same documents as the segment: remove it and run `likeness index`");
  }
  return tokens;
}

absl::StatusOr<std::shared_ptr<const Snapshot>> OpenSnapshot(Home& home, const Release& release) {
  const std::string generation = GenerationOf(release.features);
  std::vector<std::shared_ptr<const Segment>> segments, metadata;
  std::vector<std::shared_ptr<const TokenIndex>> tokens;
  for (const Release::Shard& shard : release.shards) {
    LIKENESS_ASSIGN_OR_RETURN(auto segment, OpenSegment(home.objects(), generation, shard.id));
    LIKENESS_ASSIGN_OR_RETURN(auto facts, OpenShardMetadata(home.objects(), generation, shard, *segment));
    tokens.emplace_back();
    if (LocalFeatureOf(release.features) != nullptr) {
      LIKENESS_ASSIGN_OR_RETURN(tokens.back(),
                                OpenTokens(home.objects(), generation, shard.id, *segment, home.token_cache()));
    }
    metadata.push_back(std::move(facts));
    segments.push_back(std::move(segment));
  }
  return std::make_shared<const Snapshot>(release.name, std::move(segments), std::move(metadata), std::move(tokens));
}

}  // namespace likeness
