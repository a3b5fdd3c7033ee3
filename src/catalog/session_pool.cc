#include "catalog/session_pool.h"

#include <soci/postgresql/soci-postgresql.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <algorithm>
#include <thread>

#include "catalog/postgres.h"

namespace likeness {
namespace {

constexpr int kMostConflicts = 20;
constexpr std::chrono::milliseconds kFirstPause{20}, kLongestPause{2000};

absl::Status FromSqlite(const soci::sqlite3_soci_error& error, const std::string& message) {
  switch (error.result() & 0xff) {
    case 5:  // SQLITE_BUSY
    case 6:  // SQLITE_LOCKED
      return absl::UnavailableError(message);
    case 10:  // SQLITE_IOERR: what a full disk says where the log's index is made
      return absl::UnavailableError(
          FirstLine(message) + ": the disk of the database fails, or is full; then free some space and run this again");
    case 11:  // SQLITE_CORRUPT
    case 26:  // SQLITE_NOTADB
      return absl::DataLossError(message);
    case 13:  // SQLITE_FULL
      return absl::ResourceExhaustedError("the disk of the database is full: free some space and run this again");
    case 8:   // SQLITE_READONLY
    case 14:  // SQLITE_CANTOPEN
      return absl::FailedPreconditionError(message);
    default:
      return absl::InternalError(message);
  }
}

}  // namespace

SessionPool::SessionPool(const std::string& path, size_t limit)
    : SessionPool(Engine::kSqlite, "db=\"" + path + "\" timeout=30", limit, std::chrono::milliseconds(0)) {}

absl::StatusOr<std::unique_ptr<SessionPool>> SessionPool::Connect(const std::string& url, size_t limit,
                                                                  std::chrono::milliseconds retry_for) {
  LIKENESS_ASSIGN_OR_RETURN(std::string conninfo, PostgresConninfo(url));
  return std::unique_ptr<SessionPool>(new SessionPool(Engine::kPostgres, std::move(conninfo), limit, retry_for));
}

SessionPool::Outcome SessionPool::Guarded(soci::session* session, const std::function<absl::Status()>& work) const {
  try {
    absl::Status status = work();
    const auto fault = status.ok() ? Outcome::Fault::kNone : Outcome::Fault::kFinal;
    return {std::move(status), fault};
  } catch (const std::exception& error) {
    const std::string message = std::string("catalog: ") + error.what();
    if (const auto* sqlite = dynamic_cast<const soci::sqlite3_soci_error*>(&error)) {
      return {FromSqlite(*sqlite, message), Outcome::Fault::kFinal};
    }
    if (engine_ == Engine::kSqlite) return {absl::InternalError(message), Outcome::Fault::kFinal};
    if (session == nullptr) return {PostgresRefused(error.what()), Outcome::Fault::kLost};
    const auto* postgres = dynamic_cast<const soci::postgresql_soci_error*>(&error);
    const std::string state = postgres == nullptr ? "" : postgres->sqlstate();
    const auto* backend = static_cast<soci::postgresql_session_backend*>(session->get_backend());
    const bool gone = backend == nullptr || backend->conn_ == nullptr || ::PQstatus(backend->conn_) != CONNECTION_OK;
    if (gone || IsShutdown(state)) {
      return {absl::UnavailableError("the database went away: " + FirstLine(error.what())), Outcome::Fault::kLost};
    }
    const auto fault = IsConflict(state) ? Outcome::Fault::kConflict : Outcome::Fault::kFinal;
    return {FromPostgres(state, error.what()), fault};
  }
}

SessionPool::Outcome SessionPool::Take(std::unique_ptr<soci::session>& session) {
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [this] { return !idle_.empty() || open_ < limit_; });
  if (!idle_.empty()) {
    session = std::move(idle_.back());
    idle_.pop_back();
    return {};
  }
  ++open_;
  lock.unlock();
  Outcome opened = Guarded(nullptr, [&] {
    if (engine_ == Engine::kPostgres) {
      session = std::make_unique<soci::session>(soci::postgresql, address_);
      // What a dying server says would go to standard error.
      auto* backend = static_cast<soci::postgresql_session_backend*>(session->get_backend());
      ::PQsetNoticeProcessor(
          backend->conn_, [](void*, const char*) {}, nullptr);
      for (const char* setting : PostgresSettings()) *session << setting;
      return absl::OkStatus();
    }
    session = std::make_unique<soci::session>(soci::sqlite3, address_);
    // Durable against a killed process at every commit, against power loss up to the last checkpoint.
    *session << "PRAGMA journal_mode=WAL";
    *session << "PRAGMA synchronous=NORMAL";
    *session << "PRAGMA cache_size=-16000";
    *session << "PRAGMA journal_size_limit=16000000";  // A large transaction's log does not stay that large.
    return absl::OkStatus();
  });
  if (opened.status.ok()) return opened;
  session.reset();
  lock.lock();
  --open_;
  returned_.notify_one();
  return opened;
}

void SessionPool::GiveBack(std::unique_ptr<soci::session> session, bool lost) {
  std::vector<std::unique_ptr<soci::session>> dropped;
  const std::lock_guard lock(mutex_);
  if (lost) {  // The others were on the same server.
    dropped = std::move(idle_);
    idle_.clear();
    dropped.push_back(std::move(session));
    open_ -= dropped.size();
    for (auto& one : dropped) {
      try {
        one.reset();
      } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): a dead session has nothing left to say.
      }
    }
    returned_.notify_all();
    return;
  }
  idle_.push_back(std::move(session));
  returned_.notify_one();
}

SessionPool::Outcome SessionPool::RunIn(soci::session& session, const Work& work, bool write) {
  if (!write) return Guarded(&session, [&] { return work(session); });
  const auto say = [&](const char* statement) {
    return Guarded(&session, [&] { return session << statement, absl::OkStatus(); });
  };
  Outcome outcome = say(dialect().begin_write);
  if (!outcome.status.ok()) return outcome;
  outcome = Guarded(&session, [&] { return work(session); });
  if (outcome.status.ok()) outcome = say("COMMIT");
  if (!outcome.status.ok() && outcome.fault != Outcome::Fault::kLost) {
    if (const Outcome undone = say("ROLLBACK"); undone.fault == Outcome::Fault::kLost) return undone;
  }
  return outcome;
}

SessionPool::Outcome SessionPool::Attempt(const Work& work, bool write) {
  std::unique_ptr<soci::session> session;
  if (Outcome taken = Take(session); !taken.status.ok()) return taken;
  Outcome outcome = RunIn(*session, work, write);
  GiveBack(std::move(session), outcome.fault == Outcome::Fault::kLost);
  return outcome;
}

absl::Status SessionPool::WriteOnce(const Work& work) { return Attempt(work, /*write=*/true).status; }

absl::Status SessionPool::Repeat(const Work& work, bool write) {
  const auto deadline = std::chrono::steady_clock::now() + retry_for_;
  auto pause = kFirstPause;
  for (int conflicts = 0;;) {
    const Outcome outcome = Attempt(work, write);
    const bool conflict = outcome.fault == Outcome::Fault::kConflict;
    if (!conflict && outcome.fault != Outcome::Fault::kLost) return outcome.status;
    if (conflict && ++conflicts > kMostConflicts) return outcome.status;
    if (std::chrono::steady_clock::now() + pause > deadline) return outcome.status;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

}  // namespace likeness
