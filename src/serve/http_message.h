// HTTP/1.1 as bytes: requests that arrive piece by piece, and answers. No sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "serve/api_message.h"

namespace likeness {

struct RequestLimits {
  uint32_t head_bytes = 32 << 10;                   // request line and headers
  uint64_t body_bytes = (64u << 20) + (64u << 10);  // the largest picture, and a form around it
};

// Takes one request after the other out of a stream of bytes. One thread at a time. What it needs in memory grows with
// what has arrived, not with what a client promises.
class RequestReader {
 public:
  enum class State {
    kIdle,      // nothing of the next request is here
    kHead,      // some of its head is
    kBody,      // all of its head, not all of its body
    kComplete,  // Take it
    kFailed,    // answer with error(), and close: where the next request begins is not known
  };

  explicit RequestReader(const RequestLimits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  // More bytes of the stream. Those behind the end of a request are kept for the next one.
  // REQUIRES: state() is neither kComplete nor kFailed
  void Feed(std::string_view bytes);

  State state() const;
  // Once, when the client waits for leave to send the body (Expect: 100-continue).
  bool TakeExpectation();
  // REQUIRES: state() == kFailed
  const ApiResponse& error() const;
  size_t buffered() const;  // bytes of memory, roughly

  struct Request {
    ApiRequest message;  // its body is a view of `body`
    std::string body;
    bool keep_alive = false;
  };
  // The request; the reader goes on to the next one. REQUIRES: state() == kComplete
  std::unique_ptr<Request> Take();

 private:
  struct Parser;
  void Fail(ApiResponse error);

  const RequestLimits limits_;
  std::unique_ptr<Parser> parser_;
  std::string ahead_;  // bytes behind the request that is complete
  std::optional<ApiResponse> error_;
};

// Status line and headers of an answer with its body's length, up to and with the empty line. Line breaks in values
// come out as spaces.
std::string FormatHead(const ApiResponse& response, bool keep_alive);

}  // namespace likeness
