#include "pipeline/young.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>

#include "base/log.h"
#include "pipeline/parts.h"
#include "pipeline/shards.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

// Different for every batch that any process makes, and in the order of their making as far as clocks go.
std::string NewName() {
  static std::atomic<uint64_t> counter{0};
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  char host[256] = "";
  (void)::gethostname(host, sizeof(host) - 1);
  char name[80];
  std::snprintf(name, sizeof(name), "%014llx-%08x-%x-%llx", static_cast<unsigned long long>(microseconds),
                static_cast<unsigned>(Checksum(AsBytes(std::string_view(host)))), static_cast<unsigned>(::getpid()),
                static_cast<unsigned long long>(counter++));
  return name;
}

absl::StatusOr<std::shared_ptr<const YoungObject>> Open(const std::string& key, const Blob& blob) {
  auto object = std::make_shared<YoungObject>();
  object->key = key;
  LIKENESS_ASSIGN_OR_RETURN(object->batch, OpenYoungBatch(blob));
  object->signatures = object->batch.Signatures();
  return object;
}

// Seals one shard for each feature and puts them.
absl::StatusOr<std::shared_ptr<const YoungObject>> Put(Home& home, std::map<FeatureKey, FeatureShardWriter>& writers) {
  std::vector<std::string> sealed;
  for (auto& [key, writer] : writers) {
    LIKENESS_ASSIGN_OR_RETURN(std::string bytes, writer.Seal());
    sealed.push_back(std::move(bytes));
  }
  const std::string key = YoungKey(NewName());
  const Blob blob = Blob::Of(PackYoungBatch(sealed));
  LIKENESS_RETURN_IF_ERROR(home.objects().Put(key, blob.bytes(), {.if_absent = true}));
  return Open(key, blob);
}

FeatureShardWriter& WriterOf(std::map<FeatureKey, FeatureShardWriter>& writers, const FeatureKey& key,
                             const FeatureLayout& layout) {
  const auto found = writers.find(key);
  if (found != writers.end()) return found->second;
  const ShardId nowhere{};
  return writers.emplace(key, FeatureShardWriter(FeatureShardInfo{key, nowhere, layout})).first->second;
}

// The picture's value, or the reason why there is none.
absl::Status Copy(const FeatureShard& from, size_t at, FeatureShardWriter& to) {
  const Signature& signature = from.signatures()[at];
  if (!from.has_value(at)) return to.AddFailure(signature, from.failure(at));
  return to.Add(signature, from.image_size(at), from.value(at));
}

// Parts for one cell, cut as a worker's are.
absl::StatusOr<uint64_t> AdoptCell(Home& home, const FeatureKey& feature, const ShardId& shard,
                                   std::span<const Signature> signatures,
                                   std::span<const std::shared_ptr<const YoungObject>> objects) {
  LIKENESS_ASSIGN_OR_RETURN(const auto sealed, home.objects().Head(FeatureShardKey(feature, shard)));
  if (sealed) return 0;
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<bool> missing, MissingOf(home, feature, shard, signatures));
  const uint64_t grid = home.config().part_images;
  uint64_t adopted = 0;
  for (uint64_t begin = 0; begin < signatures.size(); begin += grid) {
    const uint64_t end = std::min<uint64_t>(begin + grid, signatures.size());
    std::map<FeatureKey, FeatureShardWriter> writers;
    FeatureShardInfo info{feature, shard, {}};
    for (uint64_t i = begin; i < end; ++i) {
      if (!missing[i]) continue;
      for (const auto& object : objects) {
        const FeatureShard* values = object->batch.Find(feature);
        const std::optional<size_t> at = values == nullptr ? std::nullopt : values->Find(signatures[i]);
        if (!at) continue;
        info.layout = values->info().layout;
        if (writers.empty()) writers.emplace(feature, FeatureShardWriter(info));
        LIKENESS_RETURN_IF_ERROR(Copy(*values, *at, writers.begin()->second));
        ++adopted;
        break;
      }
    }
    if (!writers.empty()) LIKENESS_RETURN_IF_ERROR(PutPart(home, writers.begin()->second, info, {begin, end}));
  }
  return adopted;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const YoungObject>> WriteYoung(Home& home, std::span<const YoungPicture> pictures) {
  std::map<FeatureKey, FeatureShardWriter> writers;
  for (const YoungPicture& picture : pictures) {
    for (const PictureFeatures::One& one : picture.features.features) {
      FeatureShardWriter& writer = WriterOf(writers, one.key, one.layout);
      LIKENESS_RETURN_IF_ERROR(one.value.ok()
                                   ? writer.Add(picture.signature, picture.features.size, std::span(*one.value))
                                   : writer.AddFailure(picture.signature, MessageOf(one.value.status())));
    }
  }
  return Put(home, writers);
}

absl::StatusOr<YoungChanges> ReadYoung(Home& home, const std::set<std::string>& known) {
  YoungChanges changes;
  std::set<std::string> there;
  for (int round = 0; round < 2; ++round) {
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, ListAll(home.objects(), kYoungPrefix));
    there.clear();
    for (const ObjectInfo& object : objects) there.insert(object.key);
    // A merged batch is there before those that it stands for go, but a list that was begun earlier may lack both.
    if (std::ranges::includes(there, known)) break;
  }
  for (const std::string& key : there) {
    if (known.contains(key)) continue;
    const absl::StatusOr<Blob> blob = home.objects().Get(key);
    if (absl::IsNotFound(blob.status())) continue;  // merged meanwhile
    LIKENESS_RETURN_IF_ERROR(blob.status());
    absl::StatusOr<std::shared_ptr<const YoungObject>> object = Open(key, *blob);
    if (object.ok()) {
      changes.added.push_back(*std::move(object));
    } else if (absl::IsDataLoss(object.status())) {
      Log(LogLevel::kWarning, "young_batch_damaged", {{"object", key}, {"reason", MessageOf(object.status())}});
      LIKENESS_RETURN_IF_ERROR(home.objects().Delete(key));
    } else {
      return Annotate(object.status(), key);
    }
  }
  std::ranges::set_difference(known, there, std::back_inserter(changes.gone));
  return changes;
}

PictureFeatures YoungFeatures(std::span<const std::shared_ptr<const YoungObject>> objects, const Signature& signature) {
  PictureFeatures all;
  for (const auto& object : objects) {
    for (const FeatureShard& shard : object->batch.features) {
      const std::optional<size_t> at = shard.Find(signature);
      const auto same = [&](const PictureFeatures::One& one) { return one.key == shard.info().feature; };
      if (!at || !shard.has_value(*at) || std::ranges::any_of(all.features, same)) continue;
      const auto bytes = shard.value(*at);
      all.features.push_back(
          {shard.info().feature, shard.info().layout, std::vector<std::byte>(bytes.begin(), bytes.end())});
      all.size = shard.image_size(*at);
    }
  }
  return all;
}

absl::StatusOr<std::shared_ptr<const YoungObject>> MergeYoung(
    Home& home, std::span<const std::shared_ptr<const YoungObject>> objects,
    const std::function<bool(const Signature&)>& keep) {
  std::map<FeatureKey, FeatureShardWriter> writers;
  std::map<FeatureKey, std::set<Signature>> done;
  for (const auto& object : objects) {
    for (const FeatureShard& shard : object->batch.features) {
      for (size_t i = 0; i < shard.size(); ++i) {
        const Signature& signature = shard.signatures()[i];
        if (!keep(signature) || !done[shard.info().feature].insert(signature).second) continue;
        LIKENESS_RETURN_IF_ERROR(Copy(shard, i, WriterOf(writers, shard.info().feature, shard.info().layout)));
      }
    }
  }
  if (writers.empty()) return nullptr;
  return Put(home, writers);
}

absl::StatusOr<uint64_t> AdoptYoung(Home& home, const std::vector<FeatureKey>& features) {
  LIKENESS_ASSIGN_OR_RETURN(const YoungChanges young, ReadYoung(home, {}));
  if (young.added.empty()) return 0;
  std::set<Signature> signatures;
  for (const auto& object : young.added) signatures.insert(object->signatures.begin(), object->signatures.end());
  const std::vector<Signature> asked(signatures.begin(), signatures.end());
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> images, home.catalog().Images(asked));
  std::set<ShardId> shards;
  for (const ImageRecord& image : images) {
    if (image.shard) shards.insert({image.epoch, *image.shard});
  }
  uint64_t adopted = 0;
  for (const ShardId& shard : shards) {
    LIKENESS_ASSIGN_OR_RETURN(const EpochList list, ReadEpochList(home, shard));
    for (const FeatureKey& feature : features) {
      LIKENESS_ASSIGN_OR_RETURN(const uint64_t values, AdoptCell(home, feature, shard, list.signatures(), young.added));
      adopted += values;
    }
  }
  return adopted;
}

}  // namespace likeness
