#include "pipeline/token_files.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/log.h"
#include "index/token_writer.h"
#include "pipeline/materialise.h"
#include "store/fingerprint_file.h"
#include "store/object_keys.h"

namespace likeness {

const FeatureKey* LocalFeatureOf(const std::vector<Release::Feature>& features) {
  const auto found = std::ranges::find(features, "local", [](const Release::Feature& one) { return one.key.type; });
  return found == features.end() ? nullptr : &found->key;
}

absl::StatusOr<bool> EnsureTokens(Home& home, const ShardId& shard, const std::string& generation,
                                  const std::vector<Release::Feature>& features) {
  const FeatureKey* const local = LocalFeatureOf(features);
  if (local == nullptr || !home.config().tokens) return false;
  const std::string key = TokensKey(generation, shard);
  LIKENESS_ASSIGN_OR_RETURN(const auto there, home.objects().Head(key));
  if (there) return false;
  LIKENESS_ASSIGN_OR_RETURN(const auto path, home.objects().LocalFile(FingerprintKey(generation, shard)));
  LIKENESS_ASSIGN_OR_RETURN(const auto fingerprints, FingerprintFile::Open(path));
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path scratch, home.ScratchFile("tokens"));
  LIKENESS_ASSIGN_OR_RETURN(const auto writer, TokenWriter::Create(scratch, *local));
  LIKENESS_RETURN_IF_ERROR(fingerprints->ForEach([&](const Fingerprint& fingerprint) {
    const Fingerprint::Plain* const rows = fingerprint.FindPlain(*local);
    const absl::Status added = writer->Add(rows == nullptr ? std::span<const std::byte>() : AsBytes(rows->value));
    if (!absl::IsDataLoss(added)) return added;
    Log(LogLevel::kWarning, "image_without_words",
        {{"signature", fingerprint.signature.Hex()}, {"reason", MessageOf(added)}});
    return absl::OkStatus();
  }));
  LIKENESS_RETURN_IF_ERROR(writer->Seal());
  const absl::Status put = home.objects().PutFile(key, scratch, {.if_absent = true, .take_file = true});
  if (!put.ok()) {
    std::error_code unused;
    std::filesystem::remove(scratch, unused);
    if (!absl::IsAlreadyExists(put)) return put;
  }
  return put.ok();
}

absl::StatusOr<std::optional<uint64_t>> CountTokenFiles(Home& home, const Release& release) {
  if (LocalFeatureOf(release.features) == nullptr) return std::nullopt;
  const std::string generation = GenerationOf(release.features);
  LIKENESS_ASSIGN_OR_RETURN(const auto objects, ListAll(home.objects(), "indexes/" + generation + "/"));
  std::set<std::string> there;
  for (const ObjectInfo& object : objects) there.insert(object.key);
  uint64_t count = 0;
  for (const Release::Shard& shard : release.shards) count += there.count(TokensKey(generation, shard.id));
  return count;
}

LocalRows::LocalRows(Home& home, const Release& release)
    : home_(home), release_(release), shards_(release.shards.size()) {
  feature_ = LocalFeatureOf(release_.features);
}

absl::StatusOr<const FeatureShard*> LocalRows::Shard(size_t segment) const {
  const std::lock_guard lock(mutex_);
  if (shards_[segment] == nullptr) {
    const std::string key = FeatureShardKey(*feature_, release_.shards[segment].id);
    LIKENESS_ASSIGN_OR_RETURN(Blob blob, home_.objects().Get(key));
    auto opened = FeatureShard::Open(std::move(blob));
    if (!opened.ok()) return Annotate(opened.status(), key);
    shards_[segment] = std::make_unique<const FeatureShard>(*std::move(opened));
  }
  return shards_[segment].get();
}

absl::StatusOr<std::span<const std::byte>> LocalRows::Get(const Snapshot& snapshot, Snapshot::Place place) const {
  if (feature_ == nullptr || place.segment >= shards_.size()) return std::span<const std::byte>();
  LIKENESS_ASSIGN_OR_RETURN(const FeatureShard* const shard, Shard(place.segment));
  const Signature& signature = snapshot.signature(place);
  const std::optional<size_t> position = shard->Find(signature);
  if (!position) {
    return absl::DataLossError("the feature store lacks " + signature.Hex() + " in " +
                               FeatureShardKey(*feature_, release_.shards[place.segment].id));
  }
  return shard->has_value(*position) ? shard->value(*position) : std::span<const std::byte>();
}

}  // namespace likeness
