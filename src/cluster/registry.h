// Where leaves are, in a NATS key-value bucket: a key lives a few seconds unless its leaf puts it again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "queue/nats_queue.h"

namespace likeness {

// Any thread. One thread of its own speaks to the servers, so that nobody waits for them.
class LeafRegistry {
 public:
  // Connects and makes the bucket NAME-leaves when it is missing. `alive`: how long a leaf counts that gives no sign of
  // life; the same for all who share a bucket. `address`: "host:port" of this leaf; empty: this is a root, which wants
  // to know. Errors, within options.open_timeout: those of NatsConnection::Open; FailedPrecondition (JetStream is off,
  // or a bucket with another `alive`).
  static absl::StatusOr<std::unique_ptr<LeafRegistry>> Open(const NatsOptions& options, std::chrono::milliseconds alive,
                                                            const std::string& address);
  // A leaf is taken out.
  ~LeafRegistry();
  LeafRegistry(const LeafRegistry&) = delete;
  LeafRegistry& operator=(const LeafRegistry&) = delete;

  // Addresses of the leaves that are alive; while no server can be asked, those that were. Only for roots.
  std::vector<std::string> Leaves() const;

 private:
  class Bucket;
  LeafRegistry(std::unique_ptr<Bucket> bucket, std::chrono::milliseconds alive, std::string address);
  void Follow();

  const std::unique_ptr<Bucket> bucket_;
  const std::chrono::milliseconds alive_;
  const std::string address_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool closing_ = false;             // guarded by mutex_
  std::vector<std::string> leaves_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace likeness
