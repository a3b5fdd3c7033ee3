// SessionPool sessions for several threads, transactions that are tried again, and the one place where SOCI's
// exceptions become statuses.
#pragma once

#include <soci/soci.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "catalog/schema.h"

namespace likeness {

// Hands out sessions on one database, opened when first needed, at most `limit` at once. Any thread.
class SessionPool {
 public:
  // A function that runs within one transaction. It may be run more than once: it begins by forgetting what it gave.
  using Work = std::function<absl::Status(soci::session&)>;

  // An SQLite file.
  SessionPool(const std::string& path, size_t limit);
  // A PostgreSQL database, by its address; no connection is made yet. A server that goes away later is waited for, for
  // `retry_for`. Errors: InvalidArgument; see PostgresConninfo.
  static absl::StatusOr<std::unique_ptr<SessionPool>> Connect(const std::string& url, size_t limit,
                                                              std::chrono::milliseconds retry_for);

  Engine engine() const { return engine_; }
  const Dialect& dialect() const { return DialectOf(engine_); }

  // Runs `work` with a session of its own. What it throws becomes a status: see catalog.h.
  absl::Status Read(const Work& work) { return Repeat(work, /*write=*/false); }
  // The same inside one transaction that will write, committed when `work` returns OK.
  absl::Status Write(const Work& work) { return Repeat(work, /*write=*/true); }
  // Write, but a server that is not there is an error at once.
  absl::Status WriteOnce(const Work& work);

 private:
  // What became of one attempt.
  struct Outcome {
    enum class Fault { kNone, kFinal, kConflict, kLost };
    absl::Status status;
    Fault fault = Fault::kNone;
  };

  SessionPool(Engine engine, std::string address, size_t limit, std::chrono::milliseconds retry_for)
      : engine_(engine), address_(std::move(address)), limit_(limit), retry_for_(retry_for) {}

  absl::Status Repeat(const Work& work, bool write);
  Outcome Attempt(const Work& work, bool write);
  Outcome RunIn(soci::session& session, const Work& work, bool write);
  Outcome Guarded(soci::session* session, const std::function<absl::Status()>& work) const;
  Outcome Take(std::unique_ptr<soci::session>& session);
  void GiveBack(std::unique_ptr<soci::session> session, bool lost);

  const Engine engine_;
  const std::string address_;  // what SOCI opens; may name files with secrets but holds none
  const size_t limit_;
  const std::chrono::milliseconds retry_for_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<soci::session>> idle_;  // guarded by mutex_
  size_t open_ = 0;                                   // guarded by mutex_
};

}  // namespace likeness
