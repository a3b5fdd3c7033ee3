#include "pipeline/shards.h"

#include <mutex>
#include <set>
#include <string>

#include "base/thread_pool.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

absl::Status WriteList(Home& home, const ShardId& shard) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Signature> signatures, home.catalog().ShardSignatures(shard));
  LIKENESS_ASSIGN_OR_RETURN(const std::string list, WriteEpochList(shard, signatures));
  const absl::Status put = home.objects().Put(EpochListKey(shard), AsBytes(list), {.if_absent = true});
  return absl::IsAlreadyExists(put) ? absl::OkStatus() : put;
}

}  // namespace

absl::StatusOr<uint64_t> MakeShards(Home& home) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> cut, home.catalog().CutShards(home.config().shard_images));
  uint64_t images = 0;
  for (const ShardRecord& shard : cut) images += shard.images;
  // Lists are written for all that have none, not for the new shards alone: an earlier run may have ended in between.
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(home.objects(), kEpochListPrefix));
  std::set<std::string> there;
  for (const ObjectInfo& object : objects) there.insert(object.key);
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> shards, home.catalog().Shards());
  std::mutex mutex;
  absl::Status failure;  // guarded by mutex
  ParallelFor(shards.size(), home.config().threads, [&](size_t i) {
    if (there.contains(EpochListKey(shards[i].id))) return;
    const absl::Status status = WriteList(home, shards[i].id);
    const std::lock_guard lock(mutex);
    if (failure.ok()) failure = status;
  });
  LIKENESS_RETURN_IF_ERROR(failure);
  return images;
}

absl::StatusOr<EpochList> ReadEpochList(Home& home, const ShardId& shard) {
  LIKENESS_ASSIGN_OR_RETURN(Blob blob, home.objects().Get(EpochListKey(shard)));
  return EpochList::Open(std::move(blob));
}

}  // namespace likeness
