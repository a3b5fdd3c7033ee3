#include "pipeline/work.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/chunk.h"
#include "pipeline/work_chunk.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPoll{50};       // how soon a stop is seen
constexpr milliseconds kPullWait{500};  // how long one question to an empty queue takes
constexpr milliseconds kGlance{10};     // the same where the queue may have become empty for good
constexpr double kBeatEvery = 5000;     // milliseconds
constexpr uint64_t kMostInFlight = 100'000;

// Extends a lease while a chunk is worked on, and gives it back at once when the worker is stopped.
class LeaseKeeper {
 public:
  LeaseKeeper(Queue& queue, const Lease& lease, const RunControl& control)
      : queue_(queue), lease_(lease), control_(control), thread_([this] { Keep(); }) {}
  ~LeaseKeeper() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  // Set when the work should end: the worker is stopped, or the chunk is another's now.
  const std::atomic<bool>& stop() const { return stop_; }
  // The lease was given back or lost: there is nothing to acknowledge.
  bool gone() const { return gone_; }

 private:
  void Keep() {
    Stopwatch since_extended;
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kPoll, [this] { return done_; })) {
      if (stop_) continue;
      if (control_.stopped()) {
        gone_ = stop_ = true;
        const absl::Status returned = queue_.Return(lease_);
        if (!returned.ok())
          Log(LogLevel::kWarning, "lease_return", {{"task", lease_.task.id}, {"reason", MessageOf(returned)}});
      } else if (since_extended.Milliseconds() * 3 >= static_cast<double>(lease_.duration.count())) {
        since_extended.Restart();
        // Only a certain loss ends the work: an engine that cannot be asked may come back in time.
        if (absl::IsFailedPrecondition(queue_.Extend(lease_))) gone_ = stop_ = true;
      }
    }
  }

  Queue& queue_;
  const Lease lease_;
  const RunControl& control_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> gone_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;  // guarded by mutex_
  std::thread thread_;
};

std::string HostName() {
  char host[256] = "";
  return ::gethostname(host, sizeof(host) - 1) == 0 && host[0] != '\0' ? host : "host";
}

class Worker {
 public:
  Worker(Home& home, const Extractors& extractors, const WorkerOptions& options, const RunControl& control,
         WorkReport& report)
      : home_(home), extractors_(extractors), options_(options), control_(control), report_(report) {}

  absl::Status Run() {
    Stopwatch trouble;
    uint64_t failures = 0;
    LIKENESS_RETURN_IF_ERROR(ForsakeDeadWorkers(home_.queue()).status());
    while (!control_.stopped()) {
      const absl::StatusOr<bool> more = Step();
      if (more.ok()) {
        if (!*more) return absl::OkStatus();
        failures = 0;
        continue;
      }
      if (BlameOf(more.status()) != Blame::kWorld || absl::IsResourceExhausted(more.status())) return more.status();
      if (failures++ == 0) trouble.Restart();
      if (trouble.Milliseconds() > static_cast<double>(options_.patience.count())) return more.status();
      Log(LogLevel::kWarning, "worker_waits", {{"reason", MessageOf(more.status())}});
      Pause(std::min<milliseconds>(milliseconds(100) * (int64_t{1} << std::min<uint64_t>(failures, 6)),
                                   milliseconds(5000)));
    }
    return absl::OkStatus();
  }

 private:
  // Tells the catalog that this worker lives, now and then. A beat that does not get through is no reason to stop.
  void Beat(const std::string& chunk) {
    if (beaten_ && since_beat_.Milliseconds() < kBeatEvery) return;
    beaten_ = true;
    since_beat_.Restart();
    WorkerBeat beat;
    beat.name = options_.name;
    beat.host = HostName();
    beat.started = started_;
    beat.chunk = chunk;
    beat.images = report_.decoded;
    beat.images_per_second = static_cast<double>(report_.decoded) / std::max(1e-3, running_.Milliseconds() / 1e3);
    const absl::Status status = home_.catalog().Heartbeat(beat);
    if (!status.ok()) Log(LogLevel::kWarning, "heartbeat", {{"reason", MessageOf(status)}});
  }

  // One chunk, or one wait for one; false when there is nothing to wait for.
  absl::StatusOr<bool> Step() {
    const milliseconds duration(static_cast<int64_t>(home_.config().queue.lease_seconds * 1000));
    // Who ends with the queue looks whether it is empty before he waits.
    const milliseconds wait = options_.until_idle && !waiting_ ? kGlance : kPullWait;
    LIKENESS_ASSIGN_OR_RETURN(const std::optional<Lease> lease, home_.queue().Pull(options_.name, duration, wait));
    waiting_ = !lease;
    Beat(lease ? lease->task.id : "");
    if (lease) {
      LIKENESS_RETURN_IF_ERROR(Take(*lease));
      return true;
    }
    if (!options_.until_idle) return true;
    LIKENESS_ASSIGN_OR_RETURN(const QueueStats stats, home_.queue().Stats());
    return stats.waiting + stats.leased > 0;
  }

  absl::Status Take(const Lease& lease) {
    const absl::StatusOr<Chunk> chunk = ChunkOf(lease.task);
    if (!chunk.ok()) {
      Log(LogLevel::kWarning, "task_dropped", {{"reason", MessageOf(chunk.status())}});
      return EndLease(home_.queue().Acknowledge(lease));
    }
    if (lease.attempt > kMaxAttempts) return Divide(lease, *chunk);
    LeaseKeeper keeper(home_.queue(), lease, control_);
    const auto tick = [this, &lease] {
      Beat(lease.task.id);
      control_.progress("fingerprint", std::min(report_.decoded, options_.total), options_.total);
    };
    const absl::Status worked = WorkChunk(home_, *chunk, extractors_, keeper.stop(), tick, report_);
    if (keeper.gone()) return absl::OkStatus();
    if (!worked.ok()) {
      // Not the chunk's fault as far as anybody knows: another may have it.
      (void)home_.queue().Return(lease);
      return worked;
    }
    ++report_.chunks;
    return EndLease(home_.queue().Acknowledge(lease));
  }

  // A chunk that has ended its workers too often.
  absl::Status Divide(const Lease& lease, const Chunk& chunk) {
    const std::vector<Chunk> parts = Halves(chunk);
    if (parts.empty()) {
      LIKENESS_RETURN_IF_ERROR(GiveUpOn(home_, chunk, extractors_, report_));
      return EndLease(home_.queue().Acknowledge(lease));
    }
    ++report_.divided;
    std::vector<Task> tasks;
    for (const Chunk& part : parts) tasks.push_back(TaskOf(part));
    return EndLease(home_.queue().Replace(lease, tasks));
  }

  // A lease that was lost meanwhile is another worker's affair: what this one did is put, and counts.
  static absl::Status EndLease(const absl::Status& status) {
    return absl::IsFailedPrecondition(status) ? absl::OkStatus() : status;
  }

  void Pause(milliseconds duration) const {
    for (milliseconds waited{0}; waited < duration && !control_.stopped(); waited += kPoll) {
      std::this_thread::sleep_for(kPoll);
    }
  }

  Home& home_;
  const Extractors& extractors_;
  const WorkerOptions& options_;
  const RunControl& control_;
  WorkReport& report_;
  const std::chrono::sys_seconds started_ = std::chrono::time_point_cast<std::chrono::seconds>(Clock::System().Now());
  const Stopwatch running_;
  Stopwatch since_beat_;
  bool beaten_ = false;
  bool waiting_ = false;  // the last question found nothing
};

}  // namespace

std::string WorkerName() {
  static std::atomic<uint64_t> number{0};
  return HostName() + "." + std::to_string(::getpid()) + "." + std::to_string(number++);
}

absl::StatusOr<uint64_t> ForsakeDeadWorkers(Queue& queue) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<TaskInFlight> flying, queue.InFlight(kMostInFlight));
  const std::string here = HostName() + ".";
  uint64_t ended = 0;
  for (const TaskInFlight& task : flying) {
    if (!task.worker.starts_with(here)) continue;
    pid_t process = 0;
    const char* digits = task.worker.data() + here.size();
    const auto [stop, error] = std::from_chars(digits, task.worker.data() + task.worker.size(), process);
    if (error != std::errc() || *stop != '.' || process <= 0) continue;
    if (::kill(process, 0) == 0 || errno != ESRCH) continue;
    LIKENESS_ASSIGN_OR_RETURN(const uint64_t leases, queue.Forsake(task.worker));
    ended += leases;
  }
  return ended;
}

absl::Status RunWorker(Home& home, const Extractors& extractors, const WorkerOptions& options,
                       const RunControl& control, WorkReport& report) {
  return Worker(home, extractors, options, control, report).Run();
}

}  // namespace likeness
