// Work that is handed out under leases: tasks are published once, delivered to one worker at a time, delivered again
// when a worker vanishes, and gone when they are acknowledged.
//
// Two engines stand behind it: a table of leases in SQLite or PostgreSQL (queue/sql_queue.h) and NATS JetStream
// (queue/nats_queue.h). docs/queue.md says what each of them promises when something dies.
//
// A task is delivered at least once. Two workers may come to hold the same task when one of them is slower than its
// lease, so what a task does must be safe to do twice; only one of the two can acknowledge it.
//
// All functions may be called from any thread, and by several processes and machines at once on the same queue. A lease
// is a value: any thread or process may extend or end it. World faults (Unavailable, DeadlineExceeded,
// ResourceExhausted, Internal) mean that the engine could not be asked, after its own retries; every call may then be
// made again, but for an Acknowledge or Replace whose answer was lost, which then gives FailedPrecondition.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace likeness {

inline constexpr size_t kMaxTaskIdBytes = 200;
inline constexpr size_t kMaxTaskPayloadBytes = 64 * 1024 - 1;

// A piece of work. The id is a path like an object's key: parts joined by '/', each of printable ASCII without spaces,
// none empty, kMaxTaskIdBytes in all. The payload is text (UTF-8 without NUL) of at most kMaxTaskPayloadBytes.
struct Task {
  std::string id;
  std::string payload;
};

// A task that was delivered, and the right to end it.
struct Lease {
  Task task;
  // 1 for the first delivery. One more for each earlier delivery whose lease ran out; those that were returned do not
  // count.
  uint32_t attempt = 1;
  std::chrono::milliseconds duration{0};  // as asked for; Extend starts it anew
  std::string token;                      // the engine's name for this delivery
};

struct QueueStats {
  uint64_t waiting = 0;                  // can be pulled now, those whose lease ran out among them
  uint64_t leased = 0;                   // in the hands of a worker
  std::optional<double> oldest_seconds;  // since the oldest of both was published; nothing when there is none
  uint64_t delivered = 0;                // deliveries since the queue was made
  uint64_t acknowledged = 0;             // tasks acknowledged or replaced since the queue was made
  double done_per_second = 0;            // acknowledged lately (at most 10 minutes); 0 when there were none
};

// A task in a worker's hands.
struct TaskInFlight {
  std::string id;
  std::string worker;
  uint32_t attempt = 1;
  double seconds_left = 0;  // of its lease, by the clock of this machine where the engine has no other; never negative
};

class Queue {
 public:
  virtual ~Queue() = default;

  // Puts tasks in, in this order, and returns how many were new. One whose id is in the queue already, waiting or
  // leased, is left as it is, also when two publish it at once. After a task was acknowledged its id may be published
  // again. When it fails, a part of the tasks may be in the queue: publish all of them again.
  // Errors: InvalidArgument (id or payload, before anything is published), world.
  virtual absl::StatusOr<uint64_t> Publish(std::span<const Task> tasks) = 0;

  // Delivers the oldest task that can be had, under a lease that runs for `lease` from now, or nothing when there was
  // none for as long as `wait`. A worker that must be able to stop quickly passes a short wait, and pulls again.
  // Errors: InvalidArgument (worker empty or above 200 bytes, lease not positive or above a day), world.
  virtual absl::StatusOr<std::optional<Lease>> Pull(std::string_view worker, std::chrono::milliseconds lease,
                                                    std::chrono::milliseconds wait) = 0;

  // Starts the lease's duration anew.
  // Errors, here and below: FailedPrecondition when the lease was lost: it ran out and the task was delivered to
  // another worker, or it was ended, or the task was purged. A lease that ran out is still good while nobody else got
  // the task.
  virtual absl::Status Extend(const Lease& lease) = 0;

  // The task is done and leaves the queue.
  virtual absl::Status Acknowledge(const Lease& lease) = 0;

  // The task can be pulled by anybody at once, in its old place, and this delivery does not count as an attempt: for a
  // worker that is told to stop, which is no fault of the task.
  virtual absl::Status Return(const Lease& lease) = 0;

  // Publishes `tasks` and then acknowledges the lease's task. The database engines do both or neither. With JetStream,
  // when it is cut off between, the smaller tasks are in the queue and the large one is delivered again: nothing is
  // lost, and replacing it again adds nothing. REQUIRES: none of `tasks` has the id of the lease's own task
  // Errors: InvalidArgument too.
  virtual absl::Status Replace(const Lease& lease, std::span<const Task> tasks) = 0;

  // Ends the leases of a worker that is known to be dead, so that its tasks need not wait for their end; each counts as
  // an attempt. Returns how many there were. An engine that cannot do this returns 0, and the leases run out.
  virtual absl::StatusOr<uint64_t> Forsake(std::string_view worker) = 0;

  virtual absl::StatusOr<QueueStats> Stats() = 0;

  // At most `limit`, oldest task first.
  virtual absl::StatusOr<std::vector<TaskInFlight>> InFlight(uint64_t limit) = 0;

  // Takes out all tasks whose id begins with `prefix`, waiting or leased, and returns how many there were. Empty: all.
  // Errors: InvalidArgument when the prefix is neither empty nor ends in '/'.
  virtual absl::StatusOr<uint64_t> Purge(std::string_view prefix) = 0;
};

}  // namespace likeness
