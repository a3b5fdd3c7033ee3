// A folder of files fetched from elsewhere: bounded in size, shared by processes, and never in the way of a reader.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/descriptor.h"
#include "base/status.h"

namespace likeness {

// A file stands here whole or not at all, under a name that stands for its content, and never changes. What a cache
// handed out it keeps until it is itself destroyed or told to Forget, even beyond the bound: a lock on the file (flock)
// keeps other processes from evicting it. Files that nobody holds go when room is needed, the one used longest ago
// first. Any thread, and several processes on one folder.
class FileCache {
 public:
  // A file being written, gone with this object unless it was kept.
  class Staged {
   public:
    ~Staged();
    Staged(Staged&&) = default;
    int fd() const { return fd_.get(); }
    const std::filesystem::path& path() const { return path_; }

   private:
    friend class FileCache;
    Staged() = default;
    Descriptor fd_;
    std::filesystem::path path_;
  };

  // Creates the folder when missing, and removes what killed writers left. Errors: FailedPrecondition.
  static absl::StatusOr<std::unique_ptr<FileCache>> Open(const std::filesystem::path& folder, uint64_t bytes);

  // The file of that name, held; nothing when it is not here. A name is 1 to 200 letters, digits, '-' and '_'.
  std::optional<std::filesystem::path> Use(const std::string& name);

  absl::StatusOr<Staged> Stage();

  // Gives a written file its name, holds it, and makes room. Errors: Unavailable, ResourceExhausted.
  absl::StatusOr<std::filesystem::path> Keep(Staged staged, const std::string& name);

  // Holds the file no longer. Who has it open or mapped reads on; others must ask for it again.
  void Forget(const std::string& name);

  // Whether more lay here than the bound allows when room was last made, since the rest was in use.
  bool over_bound() const { return over_bound_; }

 private:
  FileCache(std::filesystem::path folder, uint64_t bytes) : folder_(std::move(folder)), bytes_(bytes) {}
  void MakeRoom();

  const std::filesystem::path folder_;
  const uint64_t bytes_;
  std::atomic<bool> over_bound_ = false;
  std::mutex mutex_;
  std::map<std::string, Descriptor> held_;  // guarded by mutex_; each locked shared
};

}  // namespace likeness
