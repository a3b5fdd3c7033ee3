#include "catalog/session_pool.h"

#include <soci/sqlite3/soci-sqlite3.h>

namespace likeness {
namespace {

absl::Status FromSoci(const std::exception& error) {
  const std::string message = std::string("catalog: ") + error.what();
  if (const auto* sqlite = dynamic_cast<const soci::sqlite3_soci_error*>(&error)) {
    switch (sqlite->result() & 0xff) {
      case 5:  // SQLITE_BUSY
      case 6:  // SQLITE_LOCKED
        return absl::UnavailableError(message);
      case 11:  // SQLITE_CORRUPT
      case 26:  // SQLITE_NOTADB
        return absl::DataLossError(message);
      case 13:  // SQLITE_FULL
        return absl::ResourceExhaustedError(message);
      case 8:   // SQLITE_READONLY
      case 14:  // SQLITE_CANTOPEN
        return absl::FailedPreconditionError(message);
      default:
        break;
    }
  }
  return absl::InternalError(message);
}

absl::Status Guarded(const std::function<absl::Status()>& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    return FromSoci(error);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<soci::session>> SessionPool::Take() {
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [this] { return !idle_.empty() || open_ < limit_; });
  if (!idle_.empty()) {
    auto session = std::move(idle_.back());
    idle_.pop_back();
    return session;
  }
  ++open_;
  lock.unlock();
  std::unique_ptr<soci::session> session;
  const absl::Status opened = Guarded([&] {
    session = std::make_unique<soci::session>(soci::sqlite3, "db=\"" + path_ + "\" timeout=30");
    // Durable against a killed process at every commit, against power loss up to the last checkpoint.
    *session << "PRAGMA journal_mode=WAL";
    *session << "PRAGMA synchronous=NORMAL";
    *session << "PRAGMA cache_size=-16000";
    return absl::OkStatus();
  });
  if (opened.ok()) return session;
  lock.lock();
  --open_;
  returned_.notify_one();
  return opened;
}

void SessionPool::GiveBack(std::unique_ptr<soci::session> session) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(session));
  returned_.notify_one();
}

absl::Status SessionPool::Read(const std::function<absl::Status(soci::session&)>& work) {
  LIKENESS_ASSIGN_OR_RETURN(auto session, Take());
  const absl::Status status = Guarded([&] { return work(*session); });
  GiveBack(std::move(session));
  return status;
}

absl::Status SessionPool::Write(const std::function<absl::Status(soci::session&)>& work) {
  return Read([&](soci::session& session) -> absl::Status {
    session << "BEGIN IMMEDIATE";
    const absl::Status status = Guarded([&] { return work(session); });
    if (status.ok()) {
      const absl::Status committed = Guarded([&] {
        session << "COMMIT";
        return absl::OkStatus();
      });
      if (committed.ok()) return committed;
      (void)Guarded([&] { return session << "ROLLBACK", absl::OkStatus(); });
      return committed;
    }
    (void)Guarded([&] { return session << "ROLLBACK", absl::OkStatus(); });
    return status;
  });
}

}  // namespace likeness
