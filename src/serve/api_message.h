// A request and an answer of the HTTP API as plain values, without sockets.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace likeness {

struct ApiRequest {
  std::string method;                                        // "GET"
  std::string target;                                        // path and query as they were sent, percent-encoded
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, in the order sent
  std::string_view body;                                     // not copied: must outlive the request
  Deadline deadline = Deadline::Never();

  // The first header of that name (lower case), or nothing ("").
  std::string_view Header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return {};
  }
};

struct ApiResponse {
  int status = 200;
  std::string content_type;  // empty: the answer has no body (304)
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // of a HEAD request too: the server sends its length alone
};

// `{"error":{"code","message"}}`. Bytes of `message` that are not UTF-8 are replaced. 503 gets a Retry-After of 1 s.
ApiResponse ErrorResponse(int status, std::string_view code, std::string_view message);

// By blame: InvalidArgument 400, Unauthenticated 401, PermissionDenied 403, NotFound 404, FailedPrecondition and
// AlreadyExists 409, ResourceExhausted and Unavailable 503, DeadlineExceeded 504, all else 500; a fault of the data
// (DataLoss, Unimplemented, OutOfRange) is 422 where the request is about one picture, 500 elsewhere. REQUIRES:
// !status.ok()
ApiResponse ErrorResponse(const absl::Status& status, bool about_picture);

// Content-Security-Policy, nosniff and the like, and Cache-Control: no-store, where the answer does not say otherwise.
void AddSafetyHeaders(ApiResponse& response);

}  // namespace likeness
