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
#include "index/token_cache.h"
#include "index/token_index.h"
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

// What is open of one shard; a leaf that does not have it has nothing of it.
struct LeafShard {
  std::shared_ptr<const Segment> segment;
  std::shared_ptr<const Segment> metadata;   // null where the release has none
  std::shared_ptr<const TokenIndex> tokens;  // likewise

  bool open() const { return segment != nullptr; }
};

// One release, as far as it is here; never changes.
struct LeafRelease {
  Release release;
  std::vector<LeafShard> shards;      // beside release.shards
  std::vector<std::string> problems;  // why shards that should be here are not
};

class LeafIndex {
 public:
  struct Options {
    ShardChoice choice;
    std::chrono::milliseconds keep{30'000};  // a release that was current, since anyone last asked for it
    std::chrono::milliseconds again{5'000};  // between two attempts to open what could not be opened
    uint64_t token_cache_bytes = 64ull << 20;
  };

  // `objects` must outlive it.
  LeafIndex(ObjectStore& objects, Options options)
      : objects_(objects),
        options_(std::move(options)),
        token_cache_(std::make_shared<TokenCache>(options_.token_cache_bytes)) {}

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

  absl::StatusOr<LeafShard> OpenShard(const Release& release, const Release::Shard& shard);
  std::shared_ptr<const LeafRelease> Open(Release release, const LeafRelease* before);
  void LetGo();

  ObjectStore& objects_;
  const Options options_;
  const std::shared_ptr<TokenCache> token_cache_;
  // By key; of the thread that follows.
  std::map<std::string, std::weak_ptr<const Segment>> open_;
  std::map<std::string, std::weak_ptr<const TokenIndex>> open_tokens_;
  std::chrono::steady_clock::time_point tried_;
  mutable std::mutex mutex_;
  std::map<std::string, Held, std::less<>> held_;  // guarded by mutex_
  std::string current_;                            // guarded by mutex_
  uint64_t taken_ = 0;                             // guarded by mutex_
};

}  // namespace likeness
