// A leaf as a gRPC server: searches its segments for roots, within their deadlines, and no more at once than it can.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "cluster/leaf_index.h"

namespace likeness {

struct LeafServerOptions {
  std::string host = "127.0.0.1";  // beyond loopback a token is needed
  uint16_t port = 8485;            // 0: any that is free
  std::string token;               // empty: none is wanted
  size_t threads = 1;              // queries at once, each on one thread
  size_t waiting = 64;             // queries that may wait; more are refused at once
  uint64_t filter_bytes = uint64_t{64} << 20;
  std::chrono::milliseconds delay{0};  // for tests: before each query
};

// Also answers grpc.health.v1.Health: SERVING once a release is open, for "" and "likeness.v1.Leaf".
class LeafServer {
 public:
  // `index` must outlive the server. Errors: InvalidArgument (host), FailedPrecondition (beyond loopback without a
  // token), AlreadyExists (the port is taken).
  static absl::StatusOr<std::unique_ptr<LeafServer>> Start(LeafIndex& index, const LeafServerOptions& options);
  ~LeafServer();  // Stops.
  LeafServer(const LeafServer&) = delete;
  LeafServer& operator=(const LeafServer&) = delete;

  uint16_t port() const;
  // What health says from now on.
  void SetHealthy(bool healthy);
  // Takes no more queries; those in flight end within a second or are given up. More than once does nothing more.
  void Stop();

 private:
  class Server;
  explicit LeafServer(std::unique_ptr<Server> server);

  std::unique_ptr<Server> server_;
};

}  // namespace likeness
