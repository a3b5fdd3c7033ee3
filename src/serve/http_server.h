// The HTTP server: sockets around an Api.
//
// One thread receives and sends for all connections and never blocks; a request goes to a worker thread only when all
// of it is here. So a client that sends or reads slowly costs a connection, not a thread, and when connections run out,
// the one that has been receiving for longest gives way to the newcomer. Overload is answered, not waited out: a
// bounded number of requests wait for a worker, the rest get 503 with Retry-After at once.
//
// HTTP/1.1 with keep-alive; no TLS: put a proxy in front where the network is not yours.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "serve/api.h"
#include "serve/http_message.h"

namespace likeness {

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // an address of this machine, or "localhost"
  uint16_t port = 8484;            // 0: any that is free; port() tells
  RequestLimits limits;
  std::chrono::milliseconds head_time{10'000};       // for the head of a request to arrive, from its first byte
  std::chrono::milliseconds transfer_time{120'000};  // for its body to arrive, and for its answer to be taken
  std::chrono::milliseconds stall_time{10'000};      // without a byte sent or taken meanwhile
  std::chrono::milliseconds request_time{10'000};    // for the work: the deadline that the Api gets
  std::chrono::milliseconds idle_time{60'000};       // between two requests of a connection
  std::chrono::milliseconds stop_time{5'000};        // for what is in flight when the server stops
  size_t connections = 1024;
  size_t waiting = 256;                           // requests that may wait for a worker
  uint64_t buffered_bytes = uint64_t{512} << 20;  // of all bodies that are arriving or leaving; beyond it, 503
};

class HttpServer {
 public:
  // Binds and serves until Stop. On loopback the Api gets the names that Host may have; elsewhere it must have a token.
  // `api` must outlive the server, which starts api.MaxBlocked() + 4 workers.
  // Errors: InvalidArgument (host), FailedPrecondition (beyond loopback without a token), AlreadyExists (the port is
  // taken), Unavailable.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(Api& api, const HttpServerOptions& options);
  ~HttpServer();  // Stops.
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;
  // "http://127.0.0.1:8484/"
  std::string url() const;

  // Takes no more connections, closes idle ones, lets requests in flight end within stop_time, and returns when all is
  // closed. Any thread, not a signal handler; more than once does nothing more.
  void Stop();

 private:
  class Loop;
  explicit HttpServer(std::unique_ptr<Loop> loop);

  std::unique_ptr<Loop> loop_;
};

}  // namespace likeness
