#include "pipeline/coverage.h"

#include <map>
#include <optional>
#include <string>

#include "store/object_keys.h"

namespace likeness {

absl::StatusOr<std::vector<Cell>> ReadCoverage(Home& home, std::span<const FeatureKey> features) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> shards, home.catalog().Shards());
  std::vector<Cell> cells;
  for (const FeatureKey& feature : features) {
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(home.objects(), FeaturePrefix(feature)));
    struct Found {
      bool sealed = false;
      uint64_t parts = 0;
    };
    std::map<ShardId, Found> found;
    for (const ObjectInfo& object : objects) {
      const std::optional<ObjectKey> key = ObjectKey::Parse(object.key);
      if (!key) continue;
      if (key->kind == ObjectKey::Kind::kFeatureShard) found[key->shard].sealed = true;
      if (key->kind == ObjectKey::Kind::kFeaturePart) ++found[key->shard].parts;
    }
    for (const ShardRecord& shard : shards) {
      const Found& cell = found[shard.id];
      cells.push_back({feature, shard.id, shard.images, cell.sealed, cell.parts});
    }
  }
  return cells;
}

}  // namespace likeness
