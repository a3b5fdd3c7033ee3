#include "queue/sql_queue.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "catalog/session_pool.h"
#include "queue/rules.h"
#include "queue/sql_schema.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;

constexpr size_t kSessions = 8;
constexpr size_t kRowsInStatement = 250;
constexpr size_t kRowsInTransaction = 5000;  // some 50 ms: workers come in between
constexpr int64_t kRecentSeconds = 600;
constexpr milliseconds kFirstPoll{10};
constexpr milliseconds kLastPoll{250};
constexpr auto kFoldEvery = std::chrono::minutes(5);

// What the time is, in milliseconds: for leases, and for people.
struct Times {
  long long lease = 0;
  long long wall = 0;
};

// The name of a delivery: "NUMBER.DELIVERY".
struct Delivery {
  long long number = 0;
  long long delivery = 0;

  std::string Token() const { return std::to_string(number) + "." + std::to_string(delivery); }
  static std::optional<Delivery> Parse(const std::string& token) {
    Delivery parsed;
    char end = 0;
    if (std::sscanf(token.c_str(), "%lld.%lld%c", &parsed.number, &parsed.delivery, &end) != 2) return std::nullopt;
    return parsed;
  }
};

// Runs a statement that changes rows, with `bound` for its placeholders in order, and returns how many there were.
template <typename... Bound>
long long Change(soci::session& session, const std::string& sql, const Bound&... bound) {
  soci::statement statement(session);
  (statement.exchange(soci::use(bound)), ...);
  statement.alloc();
  statement.prepare(sql);
  statement.define_and_bind();
  statement.execute(true);
  return statement.get_affected_rows();
}

class SqlQueue final : public Queue {
 public:
  // `uptime` is empty for a database that has a clock of its own.
  SqlQueue(std::unique_ptr<SessionPool> pool, std::function<MachineTime()> uptime)
      : pool_(std::move(pool)), uptime_(std::move(uptime)) {}

  absl::Status Prepare() {
    const SessionPool::Work make = [&](soci::session& session) -> absl::Status {
      if (const std::string lock = pool_->dialect().lock_schema; !lock.empty()) session << lock;
      session << (embedded() ? kSqliteTasks : kPostgresTasks);
      for (const char* statement : kQueueSchema) session << statement;
      int version = 0;
      soci::indicator found = soci::i_null;
      session << "SELECT max(CAST(value AS INTEGER)) FROM queue_state WHERE name = 'version'",
          soci::into(version, found);
      if (found != soci::i_ok) {
        Change(session, "INSERT INTO queue_state (name, value) VALUES ('version', :version)",
               std::to_string(kQueueVersion));
      } else if (version > kQueueVersion) {
        return absl::FailedPreconditionError("the queue was made by a newer likeness (its version is " +
                                             std::to_string(version) + ", this program knows " +
                                             std::to_string(kQueueVersion) + "): use that program");
      }
      if (embedded()) {
        // Who held a lease when the machine was started anew is gone, and the time that leases count from with it.
        const std::string boot = uptime_().boot;
        if (Change(session, "UPDATE queue_state SET value = :boot WHERE name = 'boot' AND value = :same", boot, boot) ==
            0) {
          session << "UPDATE queue_tasks SET lease_end = NULL WHERE lease_end IS NOT NULL";
          session << "DELETE FROM queue_state WHERE name = 'boot'";
          Change(session, "INSERT INTO queue_state (name, value) VALUES ('boot', :boot)", boot);
        }
      }
      return absl::OkStatus();
    };
    return pool_->WriteOnce(make);  // a server that is not there is no matter to wait for yet
  }

  absl::StatusOr<uint64_t> Publish(std::span<const Task> tasks) override {
    LIKENESS_RETURN_IF_ERROR(CheckTasks(tasks));
    uint64_t added = 0;
    while (!tasks.empty()) {
      const auto some = tasks.first(std::min(tasks.size(), kRowsInTransaction));
      uint64_t in_some = 0;
      LIKENESS_RETURN_IF_ERROR(Write([&](soci::session& session) {
        in_some = Insert(session, some, TimesOf(session));
        return absl::OkStatus();
      }));
      added += in_some;
      tasks = tasks.subspan(some.size());
      changed_.notify_all();
    }
    return added;
  }

  absl::StatusOr<std::optional<Lease>> Pull(std::string_view worker, milliseconds lease, milliseconds wait) override {
    LIKENESS_RETURN_IF_ERROR(CheckPull(worker, lease));
    const Deadline deadline = Deadline::After(wait);
    const std::string name(worker);
    for (milliseconds pause = kFirstPoll;; pause = std::min(kLastPoll, pause * 3 / 2)) {
      std::optional<Lease> taken;
      bool some = false;
      // Those who wait only look, so that they do not take turns with those who write.
      LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) {
        some = AnyReady(session, TimesOf(session).lease);
        return absl::OkStatus();
      }));
      if (some) {
        LIKENESS_RETURN_IF_ERROR(Write([&](soci::session& session) {
          taken = Take(session, name, lease);
          return absl::OkStatus();
        }));
        if (taken) return taken;
      }
      if (deadline.Passed()) return std::nullopt;
      std::unique_lock lock(waiting_mutex_);
      changed_.wait_until(lock, std::min(deadline.when(), std::chrono::steady_clock::now() + pause));
    }
  }

  absl::Status Extend(const Lease& lease) override {
    return WithDelivery(lease, [&](soci::session& session, const Delivery& held) -> absl::Status {
      const long long end = TimesOf(session).lease + lease.duration.count();
      if (Change(session, "UPDATE queue_tasks SET lease_end = :end WHERE number = :number AND delivery = :delivery",
                 end, held.number, held.delivery) == 0) {
        return LeaseLost(lease);
      }
      return absl::OkStatus();
    });
  }

  absl::Status Acknowledge(const Lease& lease) override { return Replace(lease, {}); }

  absl::Status Return(const Lease& lease) override {
    LIKENESS_RETURN_IF_ERROR(WithDelivery(lease, [&](soci::session& session, const Delivery& held) -> absl::Status {
      if (Change(
              session,
              "UPDATE queue_tasks SET lease_end = NULL, attempts = attempts - 1, delivery = delivery + 1, worker = ''"
              " WHERE number = :number AND delivery = :delivery",
              held.number, held.delivery) == 0) {
        return LeaseLost(lease);
      }
      return absl::OkStatus();
    }));
    changed_.notify_all();
    return absl::OkStatus();
  }

  absl::Status Replace(const Lease& lease, std::span<const Task> tasks) override {
    LIKENESS_RETURN_IF_ERROR(CheckReplacement(lease, tasks));
    bool again = false;
    LIKENESS_RETURN_IF_ERROR(WithDelivery(lease, [&](soci::session& session, const Delivery& held) -> absl::Status {
      const bool first = !std::exchange(again, true);
      std::string worker;
      session << "SELECT worker FROM queue_tasks WHERE number = :number AND delivery = :delivery",
          soci::use(held.number), soci::use(held.delivery), soci::into(worker);
      if (Change(session, "DELETE FROM queue_tasks WHERE number = :number AND delivery = :delivery", held.number,
                 held.delivery) == 0) {
        // Perhaps the try before did it, and its answer was lost with the server.
        return first || Exists(session, held) ? LeaseLost(lease) : absl::OkStatus();
      }
      const Times now = TimesOf(session);
      Insert(session, tasks, now);
      Count(session, worker, now, "acknowledged");
      return absl::OkStatus();
    }));
    if (!tasks.empty()) changed_.notify_all();
    FoldNowAndThen();
    return absl::OkStatus();
  }

  absl::StatusOr<QueueStats> Stats() override {
    QueueStats stats;
    LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) {
      const Times now = TimesOf(session);
      long long all = 0, leased = 0, oldest = 0, delivered = 0, acknowledged = 0, recent = 0, since = 0;
      soci::indicator has_oldest = soci::i_null, has_since = soci::i_null;
      session << "SELECT count(*) FROM queue_tasks", soci::into(all);
      session << "SELECT count(*) FROM queue_tasks WHERE lease_end > :now", soci::use(now.lease), soci::into(leased);
      // By number, so that a step of the wall clock cannot make another task the oldest, and an index answers.
      session << "SELECT (SELECT published_ms FROM queue_tasks ORDER BY number LIMIT 1)",
          soci::into(oldest, has_oldest);
      session << "SELECT CAST(coalesce(sum(delivered), 0) AS BIGINT), CAST(coalesce(sum(acknowledged), 0) AS BIGINT)"
                 " FROM queue_activity",
          soci::into(delivered), soci::into(acknowledged);
      const long long second = now.wall / 1000, from = second - kRecentSeconds;
      session << "SELECT CAST(coalesce(sum(acknowledged), 0) AS BIGINT), min(second) FROM queue_activity"
                 " WHERE second > :from AND second <= :to AND acknowledged > 0",
          soci::use(from), soci::use(second), soci::into(recent), soci::into(since, has_since);
      stats.waiting = static_cast<uint64_t>(std::max(all - leased, 0LL));
      stats.leased = static_cast<uint64_t>(leased);
      if (has_oldest == soci::i_ok) stats.oldest_seconds = std::max(0.0, static_cast<double>(now.wall - oldest) / 1e3);
      stats.delivered = static_cast<uint64_t>(delivered);
      stats.acknowledged = static_cast<uint64_t>(acknowledged);
      if (has_since == soci::i_ok) {
        const double seconds = static_cast<double>(now.wall) / 1e3 - static_cast<double>(since);
        stats.done_per_second = static_cast<double>(recent) / std::max(1.0, seconds);
      }
      return absl::OkStatus();
    }));
    return stats;
  }

  absl::StatusOr<std::vector<TaskInFlight>> InFlight(uint64_t limit) override {
    std::vector<TaskInFlight> tasks;
    LIKENESS_RETURN_IF_ERROR(pool_->Read([&](soci::session& session) {
      tasks.clear();
      const long long now = TimesOf(session).lease;
      const auto most = static_cast<long long>(std::min<uint64_t>(limit, INT64_MAX));
      TaskInFlight task;
      int attempt = 0;
      long long end = 0;
      soci::statement select = (session.prepare << "SELECT id, worker, attempts, lease_end FROM queue_tasks"
                                                   " WHERE lease_end > :now ORDER BY number LIMIT :most",
                                soci::use(now), soci::use(most), soci::into(task.id), soci::into(task.worker),
                                soci::into(attempt), soci::into(end));
      for (bool more = select.execute(true); more; more = select.fetch()) {
        task.attempt = static_cast<uint32_t>(attempt);
        task.seconds_left = static_cast<double>(end - now) / 1e3;
        tasks.push_back(task);
      }
      return absl::OkStatus();
    }));
    return tasks;
  }

  absl::StatusOr<uint64_t> Forsake(std::string_view worker) override {
    const std::string name(worker);
    long long ended = 0;
    LIKENESS_RETURN_IF_ERROR(Write([&](soci::session& session) {
      ended = Change(session,
                     "UPDATE queue_tasks SET lease_end = NULL, delivery = delivery + 1, worker = ''"
                     " WHERE worker = :worker AND lease_end IS NOT NULL",
                     name);
      return absl::OkStatus();
    }));
    changed_.notify_all();
    return static_cast<uint64_t>(ended);
  }

  absl::StatusOr<uint64_t> Purge(std::string_view prefix) override {
    LIKENESS_RETURN_IF_ERROR(CheckPrefix(prefix));
    const std::string text(prefix);
    const int length = static_cast<int>(text.size());
    long long purged = 0;
    LIKENESS_RETURN_IF_ERROR(Write([&](soci::session& session) {
      purged = Change(session, "DELETE FROM queue_tasks WHERE substr(id, 1, :length) = :prefix", length, text);
      return absl::OkStatus();
    }));
    return static_cast<uint64_t>(purged);
  }

 private:
  bool embedded() const { return uptime_ != nullptr; }

  // SQLite lets one write at a time, and those it turns away sleep and try again; in one process they queue here.
  absl::Status Write(const SessionPool::Work& work) {
    std::unique_lock<std::mutex> turn(writing_mutex_, std::defer_lock);
    if (embedded()) turn.lock();
    return pool_->Write(work);
  }

  absl::Status WithDelivery(const Lease& lease,
                            const std::function<absl::Status(soci::session&, const Delivery&)>& work) {
    const std::optional<Delivery> held = Delivery::Parse(lease.token);
    if (!held) return LeaseLost(lease);
    return Write([&](soci::session& session) { return work(session, *held); });
  }

  Times TimesOf(soci::session& session) const {
    Times now;
    if (embedded()) {
      now.lease = uptime_().milliseconds;
      now.wall = std::chrono::duration_cast<milliseconds>(Clock::System().Now().time_since_epoch()).count();
    } else {
      session << "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)", soci::into(now.lease);
      now.wall = now.lease;
    }
    return now;
  }

  static bool AnyReady(soci::session& session, long long now) {
    int ready = 0;
    session << "SELECT CASE WHEN EXISTS (SELECT 1 FROM queue_tasks WHERE lease_end IS NULL)"
               " OR EXISTS (SELECT 1 FROM queue_tasks WHERE lease_end <= :now) THEN 1 ELSE 0 END",
        soci::use(now), soci::into(ready);
    return ready != 0;
  }

  static bool Exists(soci::session& session, const Delivery& held) {
    int count = 0;
    session << "SELECT count(*) FROM queue_tasks WHERE number = :number", soci::use(held.number), soci::into(count);
    return count > 0;
  }

  // Puts the tasks whose ids are not there in, and returns how many.
  static uint64_t Insert(soci::session& session, std::span<const Task> tasks, const Times& now) {
    uint64_t added = 0;
    for (size_t begin = 0; begin < tasks.size(); begin += kRowsInStatement) {
      const auto rows = tasks.subspan(begin, std::min(kRowsInStatement, tasks.size() - begin));
      std::string sql = "INSERT INTO queue_tasks (id, payload, published_ms, attempts, delivery, worker) VALUES ";
      soci::statement insert(session);
      for (size_t i = 0; i < rows.size(); ++i) {
        const std::string n = std::to_string(i);
        sql += (i == 0 ? "(:i" : ", (:i") + n + ", :p" + n + ", " + std::to_string(now.wall) + ", 0, 0, '')";
        insert.exchange(soci::use(rows[i].id));
        insert.exchange(soci::use(rows[i].payload));
      }
      insert.alloc();
      insert.prepare(sql + " ON CONFLICT (id) DO NOTHING");
      insert.define_and_bind();
      insert.execute(true);
      added += static_cast<uint64_t>(insert.get_affected_rows());
    }
    return added;
  }

  std::optional<Lease> Take(soci::session& session, const std::string& worker, milliseconds duration) const {
    const char* lock = embedded() ? "" : " FOR UPDATE SKIP LOCKED";
    const Times now = TimesOf(session);
    // A lease that ran out leaves `delivery` as it is: it is good until somebody else gets the task.
    Change(session,
           "UPDATE queue_tasks SET lease_end = NULL WHERE number IN"
           " (SELECT number FROM queue_tasks WHERE lease_end <= :now" +
               std::string(lock) + ")",
           now.lease);
    Lease lease;
    Delivery held;
    int attempts = 0;
    session << "SELECT number, id, payload, attempts, delivery FROM queue_tasks WHERE lease_end IS NULL"
               " ORDER BY number LIMIT 1" +
                   std::string(lock),
        soci::into(held.number), soci::into(lease.task.id), soci::into(lease.task.payload), soci::into(attempts),
        soci::into(held.delivery);
    if (!session.got_data()) return std::nullopt;
    ++held.delivery;
    ++attempts;
    Change(session,
           "UPDATE queue_tasks SET attempts = :attempts, delivery = :delivery, worker = :worker, lease_end = :end"
           " WHERE number = :number",
           attempts, held.delivery, worker, now.lease + duration.count(), held.number);
    Count(session, worker, now, "delivered");
    lease.attempt = static_cast<uint32_t>(attempts);
    lease.duration = duration;
    lease.token = held.Token();
    return lease;
  }

  // One row a worker and second, so that workers do not wait for one another's counts.
  static void Count(soci::session& session, const std::string& worker, const Times& now, const std::string& column) {
    const std::string values = column == "delivered" ? "1, 0" : "0, 1";
    Change(session,
           "INSERT INTO queue_activity (worker, second, delivered, acknowledged) VALUES (:worker, :second, " + values +
               ") ON CONFLICT (worker, second) DO UPDATE SET " + column + " = queue_activity." + column + " + 1",
           worker, now.wall / 1000);
  }

  // Keeps queue_activity small. What it costs is a few rows every few minutes; when it fails, the next one does it.
  void FoldNowAndThen() {
    const auto now = std::chrono::steady_clock::now();
    auto last = folded_.load();
    if (now - last < kFoldEvery || !folded_.compare_exchange_strong(last, now)) return;
    (void)Write([&](soci::session& session) {
      const long long before = TimesOf(session).wall / 1000 - 2 * kRecentSeconds;
      long long delivered = 0, acknowledged = 0;
      if (!embedded()) session << "LOCK TABLE queue_activity IN SHARE ROW EXCLUSIVE MODE";
      session << "SELECT CAST(coalesce(sum(delivered), 0) AS BIGINT), CAST(coalesce(sum(acknowledged), 0) AS BIGINT)"
                 " FROM queue_activity WHERE second < :before",
          soci::use(before), soci::into(delivered), soci::into(acknowledged);
      Change(session, "DELETE FROM queue_activity WHERE second < :before", before);
      Change(session,
             "INSERT INTO queue_activity (worker, second, delivered, acknowledged) VALUES ('', 0, :delivered, :done)",
             delivered, acknowledged);
      return absl::OkStatus();
    });
  }

  const std::unique_ptr<SessionPool> pool_;
  const std::function<MachineTime()> uptime_;
  std::mutex writing_mutex_;
  std::mutex waiting_mutex_;
  std::condition_variable changed_;  // something may be there to pull; whoever misses it looks again soon
  std::atomic<std::chrono::steady_clock::time_point> folded_{std::chrono::steady_clock::now()};
};

}  // namespace

MachineTime Uptime() {
  static const std::string boot = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    return std::getline(file, id) ? id : std::string("unknown");
  }();
  timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return {boot, static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000};
}

absl::StatusOr<std::unique_ptr<Queue>> OpenSqliteQueue(const std::filesystem::path& path,
                                                       std::function<MachineTime()> uptime) {
  auto queue = std::make_unique<SqlQueue>(std::make_unique<SessionPool>(path.string(), kSessions), std::move(uptime));
  if (absl::Status status = queue->Prepare(); !status.ok()) return Annotate(status, path.string());
  return queue;
}

absl::StatusOr<std::unique_ptr<Queue>> OpenPostgresQueue(const std::string& url, milliseconds retry_for) {
  LIKENESS_ASSIGN_OR_RETURN(std::unique_ptr<SessionPool> pool, SessionPool::Connect(url, kSessions, retry_for));
  auto queue = std::make_unique<SqlQueue>(std::move(pool), nullptr);
  LIKENESS_RETURN_IF_ERROR(queue->Prepare());
  return queue;
}

}  // namespace likeness
