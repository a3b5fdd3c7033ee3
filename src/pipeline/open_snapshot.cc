#include "pipeline/open_snapshot.h"

#include <vector>

#include "index/segment.h"
#include "pipeline/materialise.h"
#include "store/object_keys.h"

namespace likeness {

absl::StatusOr<std::shared_ptr<const Snapshot>> OpenSnapshot(Home& home, const Release& release) {
  const std::string generation = GenerationOf(release.features);
  std::vector<std::shared_ptr<const Segment>> segments;
  for (const Release::Shard& shard : release.shards) {
    const std::string key = SegmentKey(generation, shard.id);
    LIKENESS_ASSIGN_OR_RETURN(Blob blob, home.objects().Get(key));
    const auto owner = std::make_shared<const Blob>(std::move(blob));
    absl::StatusOr<std::shared_ptr<const Segment>> segment = Segment::Open(owner->bytes(), owner);
    if (!segment.ok()) return Annotate(segment.status(), key);
    segments.push_back(*std::move(segment));
  }
  return std::make_shared<const Snapshot>(release.name, std::move(segments));
}

}  // namespace likeness
