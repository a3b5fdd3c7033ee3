#include "serve/access.h"

#include <algorithm>

#include "base/file.h"

namespace likeness {
namespace {

constexpr size_t kMinToken = 16;
constexpr uint64_t kMaxTokenFile = 4096;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lower;
}

bool SameSecret(std::string_view given, std::string_view secret) {
  unsigned char difference = given.size() == secret.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (given[i] ^ secret[i % secret.size()]));
  }
  return difference == 0;
}

}  // namespace

absl::Status Access::CheckHost(const ApiRequest& request) const {
  const std::string host = Lower(request.Header("host"));
  if (hosts.empty() || std::find(hosts.begin(), hosts.end(), host) != hosts.end()) return absl::OkStatus();
  return absl::InvalidArgumentError("This server does not answer as '" + host.substr(0, 64) + "'; use http://" +
                                    hosts.front() + "/.");
}

absl::Status Access::CheckOrigin(const ApiRequest& request) const {
  const std::string origin = Lower(request.Header("origin"));
  if (origin.empty()) return absl::OkStatus();
  const std::string host = Lower(request.Header("host"));
  if (origin == "http://" + host || origin == "https://" + host) return absl::OkStatus();
  return absl::PermissionDeniedError("Pages of '" + origin.substr(0, 64) +
                                     "' may not send this; use the page of this server.");
}

absl::Status Access::CheckToken(const ApiRequest& request) const {
  if (token.empty()) return absl::OkStatus();
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view value = request.Header("authorization");
  if (Lower(value.substr(0, kScheme.size())) == kScheme && SameSecret(value.substr(kScheme.size()), token)) {
    return absl::OkStatus();
  }
  return absl::UnauthenticatedError("This server wants a token; send Authorization: Bearer TOKEN.");
}

absl::StatusOr<std::string> ReadToken(const std::filesystem::path& path) {
  LIKENESS_ASSIGN_OR_RETURN(std::string token, ReadFile(path, kMaxTokenFile));
  std::error_code error;
  const std::filesystem::perms perms = std::filesystem::status(path, error).permissions();
  using std::filesystem::perms::group_write;
  using std::filesystem::perms::others_all;
  if (error || (perms & (others_all | group_write)) != std::filesystem::perms::none) {
    return absl::FailedPreconditionError("Others may read or change the token file " + path.string() +
                                         "; run: chmod 600 " + path.string());
  }
  token.resize(std::min(token.find_first_of("\r\n"), token.size()));
  if (token.size() < kMinToken ||
      !std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7F; })) {
    return absl::InvalidArgumentError("The first line of the token file " + path.string() + " must be at least " +
                                      std::to_string(kMinToken) +
                                      " printable ASCII characters without spaces; openssl rand -hex 24 makes one.");
  }
  return token;
}

}  // namespace likeness
