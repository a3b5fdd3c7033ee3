// What a leaf has open: its segments of the current release, and of those that roots still ask for.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "index/segment.h"
#include "object/object_store.h"
#include "store/release.h"

namespace likeness {

// Which shards of a release are a leaf's.
struct ShardChoice {
  // Every `of`-th in the order of the release, beginning with `index`: new days are added at its end, so that what a
  // leaf has it keeps. REQUIRES: index < of
  size_t of = 1;
  size_t index = 0;
  std::vector<std::string> shards;  // "2026-11-22/00003"; instead, when there are any

  bool Has(size_t place, const ShardId& shard) const;
};

// One release, as far as it is here; never changes.
struct LeafRelease {
  Release release;
  std::vector<std::shared_ptr<const Segment>> segments;  // beside release.shards; null where it is not here
  std::vector<std::shared_ptr<const Segment>> metadata;  // beside segments; null where the release has none
  std::vector<std::string> problems;                     // why segments that should be here are not
};

class LeafIndex {
 public:
  struct Options {
    ShardChoice choice;
    std::chrono::milliseconds keep{30'000};  // a release that was current, since anyone last asked for it
    std::chrono::milliseconds again{5'000};  // between two attempts to open what could not be opened
  };

  // `objects` must outlive it.
  LeafIndex(ObjectStore& objects, Options options) : objects_(objects), options_(std::move(options)) {}

  // Opens and verifies what the current release has and is not open yet, and lets go of what nobody asks for any more.
  // A segment that is damaged or missing is a problem of its release, and is tried again later. One thread at a time.
  // Errors: those of reading CURRENT and the release.
  absl::Status Follow();

  // Any thread. May be null: that release is not here. Whoever asks keeps it here.
  std::shared_ptr<const LeafRelease> Find(std::string_view name);
  // The current one first.
  std::vector<std::shared_ptr<const LeafRelease>> All() const;

 private:
  struct Held {
    std::shared_ptr<const LeafRelease> release;
    std::chrono::steady_clock::time_point asked;
    uint64_t number = 0;  // of releases that were taken up
  };

  absl::Status OpenShard(const std::string& generation, const Release::Shard& shard,
                         std::shared_ptr<const Segment>& segment, std::shared_ptr<const Segment>& metadata);
  std::shared_ptr<const LeafRelease> Open(Release release, const LeafRelease* before);
  void LetGo();

  ObjectStore& objects_;
  const Options options_;
  std::map<std::string, std::weak_ptr<const Segment>> open_;  // by key; of the thread that follows
  std::chrono::steady_clock::time_point tried_;               // of the thread that follows
  mutable std::mutex mutex_;
  std::map<std::string, Held, std::less<>> held_;  // guarded by mutex_
  std::string current_;                            // guarded by mutex_
  uint64_t taken_ = 0;                             // guarded by mutex_
};

}  // namespace likeness
