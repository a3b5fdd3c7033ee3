// Thumbnails, made when first asked for and kept in memory and in a folder.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "serve/metrics.h"
#include "types/signature.h"

namespace likeness {

struct ThumbnailOptions {
  // FOLDER/ab/SIGNATURE_SIDE.jpg. A cache: any of it may be deleted at any time. Empty: memory alone.
  std::filesystem::path folder;
  uint64_t memory_bytes = 128u << 20;         // least recently used go first
  uint64_t folder_bytes = uint64_t{4} << 30;  // oldest files go first; checked at the first write and every 256
  size_t waiting = 32;                        // callers that may wait for a thumbnail which another caller is making
};

// Any thread.
class Thumbnails {
 public:
  using Jpeg = std::shared_ptr<const std::string>;
  using Make = std::function<absl::StatusOr<std::string>()>;

  static constexpr uint32_t kMinSide = 64;  // pixels, longest side
  static constexpr uint32_t kMaxSide = 1024;
  // The next larger of 64, 128, 256, 512, 1024. REQUIRES: kMinSide <= asked <= kMaxSide
  static uint32_t Side(uint32_t asked);

  // `metrics` must outlive the thumbnails.
  Thumbnails(ThumbnailOptions options, Metrics& metrics) : options_(std::move(options)), metrics_(metrics) {}

  // From memory, else from the folder, else from `make`, which is called once however many ask for the same one at the
  // same time: the others wait for it. A folder that cannot be written costs a log line, no error.
  // REQUIRES: side is one that Side gives. Errors: those of `make`; DeadlineExceeded;
  // Unavailable when too many wait.
  absl::StatusOr<Jpeg> Get(const Signature& signature, uint32_t side, Deadline deadline, const Make& make);

  // Drops all of one picture, in memory and in the folder.
  void Forget(const Signature& signature);

 private:
  using Key = std::pair<Signature, uint32_t>;
  struct Flight {
    std::optional<absl::StatusOr<Jpeg>> result;  // guarded by mutex_
  };

  Jpeg Find(const Key& key);                    // REQUIRES: mutex_ is held
  void Keep(const Key& key, const Jpeg& jpeg);  // REQUIRES: mutex_ is held
  absl::StatusOr<Jpeg> Load(const Key& key, const Make& make);
  void TrimFolder();
  std::filesystem::path PathOf(const Key& key) const;

  const ThumbnailOptions options_;
  Metrics& metrics_;
  std::mutex mutex_;
  std::condition_variable landed_;
  std::list<std::pair<Key, Jpeg>> kept_;                             // guarded by mutex_; most recently used first
  std::map<Key, std::list<std::pair<Key, Jpeg>>::iterator> places_;  // guarded by mutex_
  uint64_t kept_bytes_ = 0;                                          // guarded by mutex_
  std::map<Key, std::shared_ptr<Flight>> flights_;                   // guarded by mutex_
  size_t waiting_ = 0;                                               // guarded by mutex_
  uint64_t writes_ = 0;                                              // guarded by folder_mutex_
  std::mutex folder_mutex_;
};

}  // namespace likeness
