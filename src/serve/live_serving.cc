#include "serve/live_serving.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace likeness {
namespace {

constexpr std::chrono::seconds kReadEvery{1};

}  // namespace

LiveServing::LiveServing(Home& home) : home_(home), hidden_(std::make_shared<const HiddenImages>()) {
  young_.SetWorld({.hidden = hidden_, .sealed = nullptr, .needed = {}, .released = {}});
}

std::shared_ptr<const Serving> LiveServing::serving() const {
  const std::lock_guard lock(mutex_);
  return serving_;
}

absl::Status LiveServing::Switch(Serving release) {
  LIKENESS_ASSIGN_OR_RETURN(auto recipe, YoungRecipe::Read(home_, release.release, release.feature));
  const std::lock_guard lock(change_);
  const bool other_recipe =
      recipe_ == nullptr || recipe_->features != recipe->features || recipe_->query != recipe->query;
  release_ = std::move(release);
  recipe_ = std::move(recipe);
  LIKENESS_RETURN_IF_ERROR(FollowHiddenLocked());
  if (other_recipe) {
    const std::vector<std::shared_ptr<const YoungObject>> objects = young_.Objects();
    const SignatureSet unknown = young_.unknown();
    young_ = YoungSet();
    LIKENESS_RETURN_IF_ERROR(SetWorld());
    for (const auto& object : objects) {
      LIKENESS_ASSIGN_OR_RETURN(YoungItem item, ItemFor(object));
      young_.Insert(std::move(item), unknown);
    }
  } else {
    LIKENESS_RETURN_IF_ERROR(SetWorld());
  }
  LIKENESS_RETURN_IF_ERROR(FollowYoungLocked());
  MaskSealed();
  Publish();
  return absl::OkStatus();
}

absl::Status LiveServing::Follow() {
  const std::lock_guard lock(change_);
  LIKENESS_RETURN_IF_ERROR(FollowHiddenLocked());
  const auto now = std::chrono::steady_clock::now();
  if (owner_ || (read_ && now - read_at_ < kReadEvery)) return absl::OkStatus();
  LIKENESS_RETURN_IF_ERROR(FollowYoungLocked());
  Publish();
  return absl::OkStatus();
}

absl::Status LiveServing::FollowHidden() {
  const std::lock_guard lock(change_);
  return FollowHiddenLocked();
}

absl::Status LiveServing::FollowHiddenLocked() {
  LIKENESS_ASSIGN_OR_RETURN(const uint64_t changes, home_.catalog().HiddenChanges());
  if (hidden_changes_ == changes) return absl::OkStatus();
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Signature> removed, home_.catalog().Removed());
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Signature> unpinned, home_.catalog().Unpinned());
  auto hidden = std::make_shared<HiddenImages>();
  hidden->removed.insert(removed.begin(), removed.end());
  hidden->unpinned.insert(unpinned.begin(), unpinned.end());
  hidden_ = std::move(hidden);
  // What was counted before the lists were read: a change in between is seen next time.
  hidden_changes_ = changes;
  LIKENESS_RETURN_IF_ERROR(SetWorld());
  MaskSealed();
  Publish();
  return absl::OkStatus();
}

absl::Status LiveServing::SetWorld() {
  YoungSet::World world{.hidden = hidden_, .sealed = nullptr, .needed = {}, .released = {}};
  if (release_) {
    world.sealed = release_->snapshot;
    for (const Release::Feature& feature : release_->release.features) world.released.insert(feature.key);
    // A configuration whose models are not there keeps every feature.
    if (const auto keys = CurrentFeatures(home_); keys.ok()) world.needed.insert(keys->begin(), keys->end());
  }
  young_.SetWorld(std::move(world));
  return absl::OkStatus();
}

void LiveServing::MaskSealed() {
  sealed_allowed_.clear();
  sealed_visible_ = 0;
  if (!release_) return;
  for (const auto& segment : release_->snapshot->segments()) {
    DocSet allowed = DocSet::All(segment->doc_count());
    size_t hidden = 0;
    const auto hide = [&](const SignatureSet& signatures) {
      for (const Signature& signature : signatures) {
        const std::optional<DocId> doc = segment->Find(signature);
        if (!doc || !allowed.Test(*doc)) continue;
        allowed.Clear(*doc);
        ++hidden;
      }
    };
    hide(hidden_->removed);
    hide(hidden_->unpinned);
    sealed_visible_ += segment->doc_count() - hidden;
    sealed_allowed_.push_back(hidden == 0 ? nullptr : std::make_shared<const DocSet>(std::move(allowed)));
  }
}

absl::StatusOr<YoungItem> LiveServing::ItemFor(std::shared_ptr<const YoungObject> object) const {
  if (recipe_ == nullptr) return YoungItem{std::move(object)};
  return BuildYoungItem(home_, std::move(object), *recipe_);
}

absl::Status LiveServing::InsertLocked(std::vector<std::shared_ptr<const YoungObject>> objects) {
  for (auto& object : objects) {
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> images, home_.catalog().Images(object->signatures));
    SignatureSet unknown(object->signatures.begin(), object->signatures.end());
    for (const ImageRecord& image : images) unknown.erase(image.signature);
    LIKENESS_ASSIGN_OR_RETURN(YoungItem item, ItemFor(std::move(object)));
    young_.Insert(std::move(item), unknown);
  }
  return absl::OkStatus();
}

absl::Status LiveServing::FollowYoungLocked() {
  if (owner_ && read_) return absl::OkStatus();
  read_at_ = std::chrono::steady_clock::now();
  LIKENESS_ASSIGN_OR_RETURN(YoungChanges changes, ReadYoung(home_, young_.Keys()));
  read_ = true;
  if (!changes.gone.empty()) {
    young_.Replace(changes.gone, std::nullopt);
    // What was found in one that has gone may be in another that was masked for it.
    LIKENESS_RETURN_IF_ERROR(InsertLocked(std::move(changes.added)));
    LIKENESS_RETURN_IF_ERROR(SetWorld());
  } else {
    LIKENESS_RETURN_IF_ERROR(InsertLocked(std::move(changes.added)));
  }
  if (!young_.unknown().empty()) {
    const std::vector<Signature> asked(young_.unknown().begin(), young_.unknown().end());
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> images, home_.catalog().Images(asked));
    std::vector<Signature> known;
    for (const ImageRecord& image : images) known.push_back(image.signature);
    young_.SetKnown(known);
    if (!known.empty()) LIKENESS_RETURN_IF_ERROR(SetWorld());
  }
  return absl::OkStatus();
}

absl::Status LiveServing::Own() {
  const std::lock_guard lock(change_);
  if (owner_) return absl::OkStatus();
  // Once more, for the process that wrote before may have put some since they were last read.
  LIKENESS_RETURN_IF_ERROR(FollowYoungLocked());
  owner_ = true;
  LIKENESS_RETURN_IF_ERROR(FollowHiddenLocked());
  Publish();
  return absl::OkStatus();
}

absl::Status LiveServing::Add(std::shared_ptr<const YoungObject> object) {
  std::shared_ptr<const YoungRecipe> recipe;
  {
    const std::lock_guard lock(change_);
    recipe = recipe_;
  }
  // Searches pass by meanwhile.
  YoungItem item{object};
  if (recipe != nullptr) {
    LIKENESS_ASSIGN_OR_RETURN(item, BuildYoungItem(home_, object, *recipe));
  }
  const std::lock_guard lock(change_);
  young_.SetKnown(object->signatures);
  if (recipe != recipe_) {
    LIKENESS_ASSIGN_OR_RETURN(item, ItemFor(object));
  }
  young_.Insert(std::move(item));
  // Revived and pinned anew: the same transaction has changed what is hidden.
  LIKENESS_RETURN_IF_ERROR(FollowHiddenLocked());
  Publish();
  return absl::OkStatus();
}

absl::StatusOr<bool> LiveServing::TidyOnce() {
  std::vector<std::string> spent;
  std::vector<std::shared_ptr<const YoungObject>> objects;
  SignatureSet kept;
  std::shared_ptr<const YoungRecipe> recipe;
  {
    const std::lock_guard lock(change_);
    spent = young_.Spent();
    if (!spent.empty()) {
      young_.Replace(spent, std::nullopt);
      Publish();
    } else {
      objects = young_.NextMerge();
      for (const auto& object : objects) {
        for (const Signature& signature : object->signatures) {
          if (young_.Keeps(*object, signature)) kept.insert(signature);
        }
      }
      recipe = recipe_;
    }
  }
  if (!spent.empty()) {
    for (const std::string& key : spent) LIKENESS_RETURN_IF_ERROR(home_.objects().Delete(key));
    return true;
  }
  if (objects.empty()) return false;
  LIKENESS_ASSIGN_OR_RETURN(
      std::shared_ptr<const YoungObject> merged,
      MergeYoung(home_, objects, [&](const Signature& signature) { return kept.contains(signature); }));
  std::optional<YoungItem> item;
  if (merged != nullptr) {
    item = YoungItem{merged};
    if (recipe != nullptr) {
      LIKENESS_ASSIGN_OR_RETURN(item, BuildYoungItem(home_, merged, *recipe));
    }
  }
  std::vector<std::string> keys;
  for (const auto& object : objects) keys.push_back(object->key);
  bool stands = true;
  {
    const std::lock_guard lock(change_);
    stands = recipe == recipe_;
    for (const auto& object : objects) {
      for (const Signature& signature : object->signatures) {
        // Revived meanwhile: the old batches are the only ones that have it.
        if (young_.Keeps(*object, signature) && !kept.contains(signature)) stands = false;
      }
    }
    if (stands) {
      young_.Replace(keys, std::move(item));
      Publish();
    }
  }
  if (!stands) {
    if (merged != nullptr) LIKENESS_RETURN_IF_ERROR(home_.objects().Delete(merged->key));
    return true;
  }
  for (const std::string& key : keys) LIKENESS_RETURN_IF_ERROR(home_.objects().Delete(key));
  return true;
}

void LiveServing::Publish() {
  if (!release_) return;
  auto next = std::make_shared<Serving>(*release_);
  std::vector<Snapshot::Part> young;
  next->pinned = sealed_allowed_;
  young_.Collect(young, next->pinned);
  if (!young.empty()) {
    next->snapshot = release_->snapshot->With(young);
    next->young = young_.Objects();
  }
  if (std::ranges::all_of(next->pinned, [](const auto& one) { return one == nullptr; })) next->pinned.clear();
  next->visible = sealed_visible_ + young_.images();
  const std::lock_guard lock(mutex_);
  serving_ = std::move(next);
}

bool LiveServing::Finds(const Signature& signature) const {
  const std::shared_ptr<const Serving> now = serving();
  if (now == nullptr) return false;
  const auto segments = now->snapshot->segments();
  for (size_t i = 0; i < segments.size(); ++i) {
    const std::optional<DocId> doc = segments[i]->Find(signature);
    if (doc && (now->pinned.empty() || now->pinned[i] == nullptr || now->pinned[i]->Test(*doc))) return true;
  }
  return false;
}

std::vector<std::shared_ptr<const YoungObject>> LiveServing::YoungObjects() const {
  const std::lock_guard lock(change_);
  return young_.Objects();
}

std::vector<Signature> LiveServing::Lacking(const Serving& release) const {
  const std::lock_guard lock(change_);
  std::set<Signature> lacking;
  const auto objects = young_.Objects();
  for (const auto& object : objects) {
    for (const Signature& signature : object->signatures) {
      if (young_.Keeps(*object, signature) && !release.snapshot->Find(signature)) lacking.insert(signature);
    }
  }
  for (const auto& object : objects) {
    const FeatureShard* shard = object->batch.Find(release.feature);
    if (shard == nullptr) continue;
    for (const Signature& signature : shard->signatures()) lacking.erase(signature);
  }
  return {lacking.begin(), lacking.end()};
}

YoungPictures LiveServing::young() const {
  const std::shared_ptr<const Serving> now = serving();
  const std::lock_guard lock(change_);
  return {young_.images(), now == nullptr ? 0 : now->snapshot->young()};
}

}  // namespace likeness
