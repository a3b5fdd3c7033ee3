// A connection to a cluster of NATS servers with JetStream, and the place where the client library's errors become
// statuses.
#pragma once

#include <nats/nats.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "queue/nats_queue.h"

namespace likeness {

template <auto Destroy>
struct NatsDestroyer {
  template <typename T>
  void operator()(T* object) const {
    Destroy(object);
  }
};
using NatsMessage = std::unique_ptr<natsMsg, NatsDestroyer<natsMsg_Destroy>>;
using NatsSubscription = std::unique_ptr<natsSubscription, NatsDestroyer<natsSubscription_Destroy>>;

// What a call of the client library gave; `error` is the server's, 0 when it said nothing.
struct NatsResult {
  natsStatus status = NATS_OK;
  int error = 0;  // a jsErrCode

  bool ok() const { return status == NATS_OK; }
  bool Is(jsErrCode code) const { return error == static_cast<int>(code); }
  // A server died, a leader is being chosen, an answer was lost: the same call may succeed a moment later.
  bool Passing() const;
};

// Connected for as long as it lives; when a server dies it goes to another by itself. Any thread.
class NatsConnection {
 public:
  static absl::StatusOr<std::unique_ptr<NatsConnection>> Open(const NatsOptions& options);
  ~NatsConnection();
  NatsConnection(const NatsConnection&) = delete;
  NatsConnection& operator=(const NatsConnection&) = delete;

  natsConnection* connection() const { return connection_; }
  jsCtx* jetstream() const { return jetstream_; }

  // Calls `call` until it gives something other than a passing error, or `timeout` is over.
  NatsResult Persist(std::chrono::milliseconds timeout, const std::function<NatsResult()>& call) const;

  // Sends `body` and waits for an answer. `reply` may be null.
  NatsResult Request(const std::string& subject, std::string_view body, NatsMessage* reply) const;

  // The error as a status, with `action` ("cannot publish") before it.
  absl::Status StatusOf(const NatsResult& result, std::string_view action) const;

 private:
  NatsConnection() = default;

  natsConnection* connection_ = nullptr;
  jsCtx* jetstream_ = nullptr;
  std::string servers_;  // for messages
};

}  // namespace likeness
