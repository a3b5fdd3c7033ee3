#include "pipeline/shards.h"

#include <set>
#include <string>

#include "store/object_keys.h"

namespace likeness {

absl::StatusOr<uint64_t> MakeShards(Home& home) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> cut, home.catalog().CutShards(home.config().shard_images));
  uint64_t images = 0;
  for (const ShardRecord& shard : cut) images += shard.images;
  // Lists are written for all that have none, not for the new shards alone: an earlier run may have ended in between.
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(home.objects(), kEpochListPrefix));
  std::set<std::string> there;
  for (const ObjectInfo& object : objects) there.insert(object.key);
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> shards, home.catalog().Shards());
  for (const ShardRecord& shard : shards) {
    const std::string key = EpochListKey(shard.id);
    if (there.contains(key)) continue;
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<Signature> signatures, home.catalog().ShardSignatures(shard.id));
    LIKENESS_ASSIGN_OR_RETURN(const std::string list, WriteEpochList(shard.id, signatures));
    const absl::Status put = home.objects().Put(key, AsBytes(list), {.if_absent = true});
    if (!put.ok() && !absl::IsAlreadyExists(put)) return put;
  }
  return images;
}

absl::StatusOr<EpochList> ReadEpochList(Home& home, const ShardId& shard) {
  LIKENESS_ASSIGN_OR_RETURN(Blob blob, home.objects().Get(EpochListKey(shard)));
  return EpochList::Open(std::move(blob));
}

}  // namespace likeness
