#include "pipeline/shards.h"

#include <algorithm>
#include <map>
#include <span>

#include "store/object_keys.h"

namespace likeness {

absl::StatusOr<uint64_t> MakeShards(Home& home) {
  LIKENESS_ASSIGN_OR_RETURN(const auto unsharded, home.catalog().Unsharded());
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> existing, home.catalog().Shards());
  std::map<Epoch, std::vector<Signature>> by_epoch;
  for (const auto& [epoch, signature] : unsharded) by_epoch[epoch].push_back(signature);
  std::map<Epoch, uint32_t> next;
  for (const ShardRecord& shard : existing) {
    next[shard.id.epoch] = std::max(next[shard.id.epoch], shard.id.shard + 1);
  }
  for (auto& [epoch, signatures] : by_epoch) {
    // Sorted digests cut into equal ranges: a random division into sorted shards.
    std::ranges::sort(signatures);
    const size_t most = home.config().shard_images;
    const size_t shards = (signatures.size() + most - 1) / most;
    for (size_t i = 0; i < shards; ++i) {
      const size_t begin = signatures.size() * i / shards, end = signatures.size() * (i + 1) / shards;
      const absl::Status added =
          home.catalog().AddShard({epoch, next[epoch]++}, std::span(signatures).subspan(begin, end - begin));
      // Another planner was quicker: what it made is as good, and what it left is found by the next run.
      if (!added.ok() && !absl::IsAlreadyExists(added)) return added;
    }
  }
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> shards, home.catalog().Shards());
  for (const ShardRecord& shard : shards) {
    const std::string key = EpochListKey(shard.id);
    LIKENESS_ASSIGN_OR_RETURN(const auto head, home.objects().Head(key));
    if (head) continue;
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> images, home.catalog().ShardImages(shard.id));
    std::vector<Signature> signatures;
    for (const ImageRecord& image : images) signatures.push_back(image.signature);
    LIKENESS_ASSIGN_OR_RETURN(const std::string list, WriteEpochList(shard.id, signatures));
    const absl::Status put = home.objects().Put(key, AsBytes(list), {.if_absent = true});
    if (!put.ok() && !absl::IsAlreadyExists(put)) return put;
  }
  return unsharded.size();
}

absl::StatusOr<EpochList> ReadEpochList(Home& home, const ShardId& shard) {
  LIKENESS_ASSIGN_OR_RETURN(Blob blob, home.objects().Get(EpochListKey(shard)));
  return EpochList::Open(std::move(blob));
}

}  // namespace likeness
