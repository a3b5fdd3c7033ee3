#include "cluster/leaf_index.h"

#include <algorithm>

#include "base/log.h"
#include "pipeline/materialise.h"
#include "pipeline/metadata.h"
#include "pipeline/open_snapshot.h"
#include "pipeline/token_files.h"
#include "store/object_keys.h"

namespace likeness {

bool ShardChoice::Has(size_t place, const ShardId& shard) const {
  if (!shards.empty()) return std::ranges::find(shards, shard.ToString()) != shards.end();
  return place % of == index;
}

absl::StatusOr<LeafShard> LeafIndex::OpenShard(const Release& release, const Release::Shard& shard) {
  const std::string generation = GenerationOf(release.features);
  const std::string key = SegmentKey(generation, shard.id);
  LeafShard opened;
  std::weak_ptr<const Segment>& known = open_[key];
  opened.segment = known.lock();
  if (opened.segment == nullptr) {
    LIKENESS_ASSIGN_OR_RETURN(opened.segment, OpenVerifiedSegment(objects_, generation, shard.id));
    known = opened.segment;
  }
  if (opened.segment->doc_count() != shard.images) {
    return absl::DataLossError(key + " has " + std::to_string(opened.segment->doc_count()) +
                               " images, the release says " + std::to_string(shard.images));
  }
  LIKENESS_ASSIGN_OR_RETURN(opened.metadata, OpenShardMetadata(objects_, generation, shard, *opened.segment));
  if (opened.metadata != nullptr) LIKENESS_RETURN_IF_ERROR(Annotate(opened.metadata->Verify(), "its metadata"));
  if (LocalFeatureOf(release.features) == nullptr) return opened;
  std::weak_ptr<const TokenIndex>& known_tokens = open_tokens_[key];
  opened.tokens = known_tokens.lock();
  if (opened.tokens == nullptr) {
    LIKENESS_ASSIGN_OR_RETURN(opened.tokens, OpenTokens(objects_, generation, shard.id, *opened.segment, token_cache_));
    if (opened.tokens != nullptr) {
      LIKENESS_RETURN_IF_ERROR(Annotate(opened.tokens->Verify(), TokensKey(generation, shard.id)));
    }
    known_tokens = opened.tokens;
  }
  return opened;
}

std::shared_ptr<const LeafRelease> LeafIndex::Open(Release release, const LeafRelease* before) {
  auto opened = std::make_shared<LeafRelease>();
  opened->shards.resize(release.shards.size());
  for (size_t i = 0; i < release.shards.size(); ++i) {
    const Release::Shard& shard = release.shards[i];
    if (!options_.choice.Has(i, shard.id)) continue;
    absl::StatusOr<LeafShard> made = OpenShard(release, shard);
    if (made.ok()) {
      opened->shards[i] = *std::move(made);
      continue;
    }
    const std::string problem =
        "the segment of shard " + shard.id.ToString() + " is not served: " + MessageOf(made.status());
    if (before == nullptr || std::ranges::find(before->problems, problem) == before->problems.end()) {
      Log(LogLevel::kError, "segment_refused", {{"release", release.name}, {"reason", problem}});
    }
    opened->problems.push_back(problem);
  }
  opened->release = std::move(release);
  return opened;
}

absl::Status LeafIndex::Follow() {
  LetGo();
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(objects_));
  if (!current) return absl::OkStatus();
  std::shared_ptr<const LeafRelease> here;
  {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(current->name);
    if (found != held_.end()) here = found->second.release;
    if (here != nullptr) current_ = current->name;
  }
  const auto now = std::chrono::steady_clock::now();
  if (here != nullptr && (here->problems.empty() || now - tried_ < options_.again)) return absl::OkStatus();
  tried_ = now;
  LIKENESS_ASSIGN_OR_RETURN(Release release, ReadRelease(objects_, current->name));
  const auto opened = Open(std::move(release), here.get());
  const auto served = std::ranges::count_if(opened->shards, &LeafShard::open);
  if (here == nullptr || opened->problems.size() != here->problems.size()) {
    Log(LogLevel::kInfo, "release_loaded",
        {{"release", current->name},
         {"segments", std::to_string(served)},
         {"problems", std::to_string(opened->problems.size())}});
  }
  const std::lock_guard lock(mutex_);
  Held& held = held_[current->name];
  if (held.release == nullptr) held.number = ++taken_;
  held.release = opened;
  held.asked = std::chrono::steady_clock::now();
  current_ = current->name;
  return absl::OkStatus();
}

void LeafIndex::LetGo() {
  std::vector<std::shared_ptr<const LeafRelease>> gone;  // ends outside of the lock
  {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    for (auto one = held_.begin(); one != held_.end();) {
      if (one->first != current_ && now - one->second.asked > options_.keep) {
        gone.push_back(std::move(one->second.release));
        one = held_.erase(one);
      } else {
        ++one;
      }
    }
  }
  for (const auto& one : gone) Log(LogLevel::kInfo, "release_let_go", {{"release", one->release.name}});
  gone.clear();
  std::erase_if(open_, [](const auto& one) { return one.second.expired(); });
  std::erase_if(open_tokens_, [](const auto& one) { return one.second.expired(); });
}

std::shared_ptr<const LeafRelease> LeafIndex::Find(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(name);
  if (found == held_.end()) return nullptr;
  found->second.asked = std::chrono::steady_clock::now();
  return found->second.release;
}

std::vector<std::shared_ptr<const LeafRelease>> LeafIndex::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<const Held*> held;
  for (const auto& [name, one] : held_) held.push_back(&one);
  std::ranges::sort(held, [&](const Held* a, const Held* b) {
    const bool a_current = a->release->release.name == current_;
    const bool b_current = b->release->release.name == current_;
    return a_current != b_current ? a_current : a->number > b->number;
  });
  std::vector<std::shared_ptr<const LeafRelease>> all;
  for (const Held* one : held) all.push_back(one->release);
  return all;
}

}  // namespace likeness
