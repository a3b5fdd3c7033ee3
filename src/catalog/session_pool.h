// Database sessions for several threads, and the one place where SOCI's exceptions become statuses.
#pragma once

#include <soci/soci.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"

namespace likeness {

// Hands out sessions on one SQLite file, opened when first needed, at most `limit` at once. Any thread.
class SessionPool {
 public:
  SessionPool(std::string path, size_t limit) : path_(std::move(path)), limit_(limit) {}

  // Runs `work` with a session of its own. What it throws becomes a status: see catalog.h.
  absl::Status Read(const std::function<absl::Status(soci::session&)>& work);
  // The same inside one transaction, taken for writing from the start, committed when `work` returns OK.
  absl::Status Write(const std::function<absl::Status(soci::session&)>& work);

 private:
  absl::StatusOr<std::unique_ptr<soci::session>> Take();
  void GiveBack(std::unique_ptr<soci::session> session);

  const std::string path_;
  const size_t limit_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<soci::session>> idle_;  // guarded by mutex_
  size_t open_ = 0;                                   // guarded by mutex_
};

}  // namespace likeness
