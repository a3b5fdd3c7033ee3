#include "pipeline/cost.h"

#include <map>

#include "pipeline/features.h"
#include "pipeline/materialise.h"
#include "pipeline/work.h"
#include "store/object_keys.h"
#include "store/release.h"

namespace likeness {
namespace {

void AddRate(const std::vector<FeatureRate>& rates, CostItem& item) {
  for (const FeatureRate& rate : rates) {
    if (rate.feature != item.feature || rate.images == 0) continue;
    item.measured_images = rate.images;
    item.core_seconds = rate.seconds / static_cast<double>(rate.images);
  }
}

absl::Status AddBytes(Home& home, const std::map<ShardId, uint64_t>& shards, CostItem& item) {
  LIKENESS_ASSIGN_OR_RETURN(const auto objects, ListAll(home.objects(), FeaturePrefix(item.feature)));
  uint64_t bytes = 0;
  for (const ObjectInfo& object : objects) {
    const std::optional<ObjectKey> key = ObjectKey::Parse(object.key);
    if (!key || key->kind != ObjectKey::Kind::kFeatureShard) continue;
    const auto shard = shards.find(key->shard);
    if (shard == shards.end()) continue;
    item.stored_images += shard->second;
    bytes += object.size;
  }
  if (item.stored_images > 0) item.bytes = static_cast<double>(bytes) / static_cast<double>(item.stored_images);
  return absl::OkStatus();
}

// What the release's files below `prefix` take for an image.
absl::StatusOr<std::optional<double>> BytesBelow(Home& home, const std::string& prefix, const Release& release) {
  LIKENESS_ASSIGN_OR_RETURN(const auto objects, ListAll(home.objects(), prefix));
  std::map<ShardId, uint64_t> images;
  for (const Release::Shard& shard : release.shards) images[shard.id] = shard.images;
  uint64_t bytes = 0, count = 0;
  for (const ObjectInfo& object : objects) {
    const std::optional<ObjectKey> key = ObjectKey::Parse(object.key);
    if (!key || !images.contains(key->shard)) continue;
    bytes += object.size;
    count += images[key->shard];
  }
  if (count == 0) return std::nullopt;
  return static_cast<double>(bytes) / static_cast<double>(count);
}

}  // namespace

absl::StatusOr<Cost> MeasureCost(Home& home) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureRate> rates, home.catalog().Rates());
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> records, home.catalog().Shards());
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureKey> keys, CurrentFeatures(home));
  std::map<ShardId, uint64_t> shards;
  for (const ShardRecord& record : records) shards[record.id] = record.images;
  Cost cost;
  cost.decode.feature = kDecodeRate;
  AddRate(rates, cost.decode);
  for (const FeatureKey& key : keys) {
    CostItem item;
    item.feature = key;
    AddRate(rates, item);
    LIKENESS_RETURN_IF_ERROR(AddBytes(home, shards, item));
    cost.features.push_back(std::move(item));
  }
  cost.complete = cost.decode.core_seconds.has_value();
  cost.core_seconds = cost.decode.core_seconds.value_or(0);
  for (const CostItem& item : cost.features) {
    cost.complete = cost.complete && item.core_seconds && item.bytes;
    cost.core_seconds += item.core_seconds.value_or(0);
    cost.feature_bytes += item.bytes.value_or(0);
  }
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home.objects()));
  if (current) {
    LIKENESS_ASSIGN_OR_RETURN(const Release release, ReadRelease(home.objects(), current->name));
    const std::string generation = GenerationOf(release.features);
    LIKENESS_ASSIGN_OR_RETURN(cost.fingerprint_bytes, BytesBelow(home, "fingerprints/" + generation + "/", release));
    LIKENESS_ASSIGN_OR_RETURN(cost.index_bytes, BytesBelow(home, "indexes/" + generation + "/", release));
  }
  return cost;
}

double CoreHours(double core_seconds, double images) { return core_seconds * images / 3600; }

double Machines(double core_seconds, double images, double seconds) {
  return core_seconds * images / (kMachineCores * seconds);
}

}  // namespace likeness
