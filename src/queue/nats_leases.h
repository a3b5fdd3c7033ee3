// Who holds which task, beside a JetStream consumer that knows only when to deliver again: one record a task, in a
// stream of its own that keeps the last message of a subject, replaced only by whoever has seen the one before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queue/nats_connection.h"

namespace likeness {

struct LeaseRecord {
  enum class State { kLeased, kReturned, kForsaken, kDone };

  uint64_t task = 0;        // the task's sequence in its stream: an id that is published again is another task
  std::string publication;  // NatsDelivery::publication
  uint64_t delivery = 0;    // which delivery of the task by the consumer
  uint32_t attempt = 1;
  std::string worker;
  std::string token;
  std::string reply;  // where the delivery is answered
  int64_t lease_ms = 0;
  State state = State::kLeased;

  // Filled in by reading.
  std::string id;
  uint64_t revision = 0;   // sequence of the record itself
  int64_t written_ns = 0;  // by the servers' clock, since the Unix epoch
};

// Any thread.
class NatsLeases {
 public:
  // `stream` keeps the subjects `prefix` + SubjectOf(id); `prefix` ends in '.'.
  NatsLeases(const NatsConnection& connection, std::string stream, std::string prefix)
      : connection_(connection), stream_(std::move(stream)), prefix_(std::move(prefix)) {}

  // Errors of all: the connection's, after one try. A record that cannot be read counts as none.
  NatsResult Read(std::string_view id, std::optional<LeaseRecord>& record) const;

  // Puts `record` in the place of the one with `expected`, or where there is none. Sets `written` to false when another
  // one is there by now, and else record.revision.
  NatsResult Write(std::string_view id, LeaseRecord& record, std::optional<uint64_t> expected, bool& written) const;

  // One that is gone already counts as deleted.
  NatsResult Delete(uint64_t revision) const;

  // All records, in the order of their tasks. One request a record, to the stream's leader: a consumer would be
  // quicker, but a cluster that has just lost a server may not be able to make one.
  NatsResult List(std::vector<LeaseRecord>& records) const;

 private:
  NatsResult ReadSubject(const std::string& subject, std::optional<LeaseRecord>& record) const;
  std::optional<LeaseRecord> Parse(natsMsg* message) const;

  const NatsConnection& connection_;
  const std::string stream_;
  const std::string prefix_;
};

}  // namespace likeness
