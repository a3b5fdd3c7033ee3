#include "serve/api_message.h"

#include "serve/api_json.h"

namespace likeness {
namespace {

// Own files only. blob: is for pictures that the user gives, and for pictures fetched with a token.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace

ApiResponse ErrorResponse(int status, std::string_view code, std::string_view message) {
  const nlohmann::ordered_json json = {{"error", {{"code", code}, {"message", message.empty() ? code : message}}}};
  ApiResponse response;
  response.status = status;
  response.content_type = "application/json";
  response.body = OneLine(json);
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

ApiResponse ErrorResponse(const absl::Status& status, bool about_picture) {
  const std::string message = MessageOf(status);
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return ErrorResponse(400, "invalid_argument", message);
    case absl::StatusCode::kUnauthenticated:
      return ErrorResponse(401, "unauthenticated", message);
    case absl::StatusCode::kPermissionDenied:
      return ErrorResponse(403, "permission_denied", message);
    case absl::StatusCode::kNotFound:
      return ErrorResponse(404, "not_found", message);
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
      return ErrorResponse(409, "failed_precondition", message);
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kOutOfRange: {
      if (!about_picture) return ErrorResponse(500, "internal", message);
      constexpr std::string_view kPrefix = "This image cannot be read: ";
      const bool prefixed = message.starts_with(kPrefix);
      return ErrorResponse(422, "data_loss", prefixed ? message : std::string(kPrefix) + message);
    }
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
      return ErrorResponse(503, "unavailable", message);
    case absl::StatusCode::kDeadlineExceeded:
      return ErrorResponse(504, "deadline_exceeded", message);
    default:
      return ErrorResponse(500, "internal", message);
  }
}

void AddSafetyHeaders(ApiResponse& response) {
  const auto add = [&](std::string_view name, std::string_view value) {
    for (const auto& [key, _] : response.headers) {
      if (key == name) return;
    }
    response.headers.emplace_back(name, value);
  };
  add("Content-Security-Policy", kPolicy);
  add("X-Content-Type-Options", "nosniff");
  add("Referrer-Policy", "no-referrer");
  add("Cross-Origin-Resource-Policy", "same-origin");
  add("Cache-Control", "no-store");
}

}  // namespace likeness
