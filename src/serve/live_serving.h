// What is served, as it changes: a release, pictures that came after it, and what is hidden.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "base/status.h"
#include "catalog/catalog.h"
#include "pipeline/collection_status.h"
#include "pipeline/home.h"
#include "serve/serving.h"
#include "serve/young_set.h"

namespace likeness {

// Each change makes another Serving; whoever has taken one keeps it. Any thread.
class LiveServing {
 public:
  explicit LiveServing(Home& home);

  // May be null: nothing is indexed yet.
  std::shared_ptr<const Serving> serving() const;

  // Serves another release, given without young segments and masks. Pictures that it has leave the young segments in
  // the same moment: found once before and once after, and at no time not at all. Errors: those of catalog and store.
  absl::Status Switch(Serving release);

  // Takes up what other processes have changed: removed images at every call, young batches every second, unless this
  // process writes them itself. Errors: those of catalog and store.
  absl::Status Follow();
  // At once, and only what is hidden.
  absl::Status FollowHidden();

  // From now on this process alone writes young batches: it reads what there are and follows no other.
  absl::Status Own();
  // Serves a batch that is durable already and whose images are recorded.
  absl::Status Add(std::shared_ptr<const YoungObject> object);
  // Merges a few young segments, or removes batches that releases have made needless; false when there was nothing to
  // do. One thread at a time. REQUIRES: Own
  absl::StatusOr<bool> TidyOnce();

  // Whether queries find the image now.
  bool Finds(const Signature& signature) const;
  std::vector<std::shared_ptr<const YoungObject>> YoungObjects() const;
  // Young pictures that `release` neither has nor could search, for it compares by another feature.
  std::vector<Signature> Lacking(const Serving& release) const;

  YoungPictures young() const;

 private:
  absl::Status FollowHiddenLocked();
  absl::Status FollowYoungLocked();
  // Items for objects that were read, and which of their pictures the catalog does not know.
  absl::Status InsertLocked(std::vector<std::shared_ptr<const YoungObject>> objects);
  absl::StatusOr<YoungItem> ItemFor(std::shared_ptr<const YoungObject> object) const;
  void MaskSealed();
  absl::Status SetWorld();
  void Publish();

  Home& home_;
  mutable std::mutex change_;  // held by whoever changes anything; guards all below but serving_
  std::optional<Serving> release_;
  std::shared_ptr<const YoungRecipe> recipe_;
  AllowedDocs sealed_allowed_;
  uint64_t sealed_visible_ = 0;
  std::shared_ptr<const HiddenImages> hidden_;
  std::optional<uint64_t> hidden_changes_;
  YoungSet young_;
  bool owner_ = false;
  bool read_ = false;
  std::chrono::steady_clock::time_point read_at_{};

  mutable std::mutex mutex_;                // held for a moment
  std::shared_ptr<const Serving> serving_;  // guarded by mutex_
};

}  // namespace likeness
