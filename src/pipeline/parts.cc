#include "pipeline/parts.h"

#include <algorithm>
#include <optional>

#include "store/object_keys.h"

namespace likeness {
namespace {

// Every image of `part` is in one of the others.
bool Covered(const FeatureShard& part, const std::vector<FeatureShard>& others) {
  return std::ranges::all_of(part.signatures(), [&](const Signature& signature) {
    return std::ranges::any_of(others, [&](const FeatureShard& other) { return other.Find(signature).has_value(); });
  });
}

}  // namespace

absl::StatusOr<std::vector<FeatureShard>> OpenParts(Home& home, const FeatureKey& feature, const ShardId& shard,
                                                    const PartRange& range) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects,
                            ListAll(home.objects(), FeaturePartPrefix(feature, shard)));
  std::vector<FeatureShard> parts;
  for (const ObjectInfo& object : objects) {
    const std::optional<ObjectKey> key = ObjectKey::Parse(object.key);
    if (!key || key->kind != ObjectKey::Kind::kFeaturePart) continue;
    if (key->part < range.begin || key->part >= range.end) continue;
    absl::StatusOr<Blob> blob = home.objects().Get(object.key);
    if (absl::IsNotFound(blob.status())) continue;  // Another process has joined the cell meanwhile.
    LIKENESS_RETURN_IF_ERROR(blob.status());
    absl::StatusOr<FeatureShard> part = FeatureShard::Open(*std::move(blob));
    if (part.ok()) {
      if (const absl::Status sum = part->VerifyChecksum(); !sum.ok()) part = sum;
    }
    if (part.ok() && (part->info().feature != feature || part->info().shard != shard)) {
      part = absl::DataLossError(object.key + " is a part of something else");
    }
    if (part.ok()) {
      parts.push_back(*std::move(part));
    } else if (BlameOf(part.status()) == Blame::kData) {
      LIKENESS_RETURN_IF_ERROR(home.objects().Delete(object.key));
    } else {
      return part.status();
    }
  }
  return parts;
}

absl::Status PutPart(Home& home, FeatureShardWriter& writer, const FeatureShardInfo& info, const PartRange& range) {
  LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, writer.Seal());
  for (uint64_t number = range.begin; number < range.end; ++number) {
    const std::string key = FeaturePartKey(info.feature, info.shard, static_cast<uint32_t>(number));
    const absl::Status put = home.objects().Put(key, AsBytes(bytes), {.if_absent = true});
    if (!absl::IsAlreadyExists(put)) return put;
    // Another worker's, or our own from before a kill.
    LIKENESS_ASSIGN_OR_RETURN(const FeatureShard part, FeatureShard::Open(Blob::Of(bytes)));
    LIKENESS_ASSIGN_OR_RETURN(const auto others, OpenParts(home, info.feature, info.shard, range));
    if (Covered(part, others)) return absl::OkStatus();
  }
  return absl::OkStatus();  // Every number holds another image of the range: nothing can be missing.
}

absl::StatusOr<std::vector<bool>> MissingOf(Home& home, const FeatureKey& feature, const ShardId& shard,
                                            std::span<const Signature> signatures, const PartRange& range) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureShard> parts, OpenParts(home, feature, shard, range));
  std::vector<bool> missing(signatures.size(), true);
  for (const FeatureShard& part : parts) {
    for (const Signature& signature : part.signatures()) {
      const auto at = std::ranges::lower_bound(signatures, signature);
      if (at != signatures.end() && *at == signature) missing[static_cast<size_t>(at - signatures.begin())] = false;
    }
  }
  return missing;
}

}  // namespace likeness
