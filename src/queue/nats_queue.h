// The queue on NATS JetStream: a stream with work-queue retention, replicated by the servers.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "queue/queue.h"

namespace likeness {

// At most one of user, token and credentials_file may be set. Secrets are never written to a log or a message.
struct NatsOptions {
  std::vector<std::string> urls;  // "nats://HOST:PORT" or "tls://HOST:PORT", at least one; any server of the cluster
  std::string name = "likeness";  // of this queue among others on the servers: letters, digits, '-' and '_'
  int replicas = 3;               // of every message, on so many servers: 1, 3 or 5
  std::string user;
  std::string password;
  std::string token;
  std::string credentials_file;                   // made by nsc: JWT and seed
  std::string ca_file;                            // certificates that vouch for the servers; empty: the system's
  std::chrono::milliseconds open_timeout{5000};   // until a server must have answered
  std::chrono::milliseconds call_timeout{20000};  // how long a call goes on trying while servers are gone
};

// Connects and makes the stream when it is missing. Goes on by itself when servers die and come back.
// Errors, within open_timeout and each with what to do: InvalidArgument (options), FailedPrecondition (wrong
// credentials, JetStream off, fewer servers than replicas, a stream of this name made for something else), Unavailable.
absl::StatusOr<std::unique_ptr<Queue>> OpenNatsQueue(const NatsOptions& options);

}  // namespace likeness
