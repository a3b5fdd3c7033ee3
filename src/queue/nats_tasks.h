// The stream of tasks and the consumer that hands them out.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "queue/nats_connection.h"
#include "queue/queue.h"

namespace likeness {

// A task as the consumer delivers it.
struct NatsDelivery {
  std::string id;
  std::string payload;
  std::string reply;        // where the delivery is answered
  uint64_t delivered = 0;   // how often the task was delivered, this time included
  uint64_t sequence = 0;    // the task's in its stream
  std::string publication;  // the call that published it, and the task
};

// Any thread.
class NatsTasks {
 public:
  // `stream` keeps the subjects `prefix` + SubjectOf(id); `prefix` ends in '.'. A call goes on trying for `timeout`.
  NatsTasks(const NatsConnection& connection, std::string stream, std::string prefix, std::string consumer,
            std::chrono::milliseconds timeout)
      : connection_(connection),
        stream_(std::move(stream)),
        prefix_(std::move(prefix)),
        consumer_(std::move(consumer)),
        timeout_(timeout) {}

  // Puts the tasks in, in this order, and adds how many were new to `added`. Returns when the cluster has answered for
  // each; what stays without an answer is sent again.
  absl::Status Publish(std::span<const Task> tasks, uint64_t& added) const;

  // Asks once for one task, until `deadline`, and for 100 ms at least. Errors: the connection's.
  NatsResult Fetch(const Deadline& deadline, std::optional<NatsDelivery>& delivery) const;

  // A task that is gone already counts as deleted: the consumer notices a deletion, and may be quicker than the stream
  // to make it good. Errors: the connection's.
  NatsResult Delete(uint64_t sequence) const;

 private:
  absl::Status PublishWindow(std::span<const Task> tasks, uint64_t& added) const;
  natsStatus Send(const Task& task, const std::string& answer) const;

  const NatsConnection& connection_;
  const std::string stream_;
  const std::string prefix_;
  const std::string consumer_;
  const std::chrono::milliseconds timeout_;
};

}  // namespace likeness
