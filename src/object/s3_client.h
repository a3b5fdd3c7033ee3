// Requests to an S3 server: signed, sent over kept connections, and sent again when the network or the server fails.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "object/s3_options.h"
#include "object/s3_sign.h"

namespace likeness {

// What a request sends: bytes in memory, or `size` bytes of an open file. Borrowed.
struct S3Body {
  std::span<const std::byte> bytes = {};
  int fd = -1;  // when it is open, `bytes` is empty and these count
  uint64_t offset = 0;
  uint64_t file_size = 0;

  uint64_t size() const { return fd >= 0 ? file_size : bytes.size(); }
};

struct S3Reply {
  int status = 0;         // of HTTP
  S3Fields headers = {};  // names in lower case
  std::string body = {};  // unless a sink took it, and no more than 4 MiB of it
  std::string code = {};  // S3's name of the error, such as NoSuchKey; empty when the body says none

  bool ok() const { return status >= 200 && status < 300; }
  // Empty when there is no such header.
  std::string_view Header(std::string_view name) const;
};

// Takes the body of an answer in pieces. May be begun several times: each attempt begins anew.
class S3Sink {
 public:
  virtual ~S3Sink() = default;
  virtual absl::Status Begin(const S3Reply& reply) = 0;
  virtual absl::Status Write(std::span<const std::byte> piece) = 0;
  // All has come. DataLoss: it is not what the server meant to send, ask again.
  virtual absl::Status End(const S3Reply& reply) = 0;
};

struct S3Call {
  std::string method = "GET";
  std::string key = {};  // with the prefix; empty: the bucket itself
  S3Fields query = {};
  S3Fields headers = {};
  S3Body body = {};
  std::string payload_sha256 = S3Request::kEmptyPayload;
  S3Sink* sink = nullptr;                                // for the body of a good answer; may be null
  std::optional<std::chrono::milliseconds> within = {};  // instead of retry_for: for all attempts together
};

class S3Client {
 public:
  // `options` are copied. Errors: InvalidArgument (endpoint, bucket).
  static absl::StatusOr<std::unique_ptr<S3Client>> Make(const S3Options& options);
  ~S3Client();

  // The server's answer, whatever it is, once it has one: 5xx, 429 and the like are asked again, with growing pauses,
  // until retry_for has passed. Errors: Unavailable (no answer in time), DataLoss (damaged answers only, three times),
  // a sink's own, FailedPrecondition (TLS refused). Any thread.
  absl::StatusOr<S3Reply> Do(const S3Call& call);

  // The status that an answer of 300 and more stands for. `object` is the key as the caller knows it.
  absl::Status StatusOf(const S3Reply& reply, std::string_view object) const;

  struct Counts {
    uint64_t requests = 0;  // attempts that were made
    uint64_t retries = 0;   // of them, those that were not the first of their call
  };
  Counts counts() const { return {requests_, retries_}; }
  const S3Options& options() const { return options_; }
  // "http://host:port", for messages.
  const std::string& endpoint() const { return endpoint_; }

 private:
  class Connection;
  explicit S3Client(S3Options options);

  std::unique_ptr<Connection> Take();
  void GiveBack(std::unique_ptr<Connection> connection);

  const S3Options options_;
  std::string endpoint_;   // what the caller gave, or Amazon's
  std::string host_;       // of the header Host
  std::string base_;       // scheme and host of all requests
  std::string base_path_;  // "/bucket/" or "/"
  bool loopback_ = false;

  std::atomic<uint64_t> requests_{0}, retries_{0};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;  // guarded by mutex_
};

}  // namespace likeness
