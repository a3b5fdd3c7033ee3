#include "pipeline/coverage.h"

#include <set>
#include <string>

#include "store/object_keys.h"

namespace likeness {

absl::StatusOr<std::vector<Cell>> ReadCoverage(Home& home, std::span<const FeatureKey> features) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> shards, home.catalog().Shards());
  std::vector<Cell> cells;
  for (const FeatureKey& feature : features) {
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(home.objects(), FeaturePrefix(feature)));
    std::set<std::string> sealed;
    for (const ObjectInfo& object : objects) sealed.insert(object.key);
    for (const ShardRecord& shard : shards) {
      cells.push_back({feature, shard.id, shard.images, sealed.contains(FeatureShardKey(feature, shard.id))});
    }
  }
  return cells;
}

}  // namespace likeness
