// Who may ask: the token of a server that listens beyond loopback, and the names under which it may be addressed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "serve/api_message.h"

namespace likeness {

// Never changes while a server uses it.
struct Access {
  std::string token;               // empty: none is wanted
  std::vector<std::string> hosts;  // values of Host that are answered, in lower case; empty: any

  // Guards a loopback server against pages that have their own name resolve to 127.0.0.1 (DNS rebinding).
  // Errors: InvalidArgument.
  absl::Status CheckHost(const ApiRequest& request) const;
  // Guards what changes something against pages of other origins, whose forms a browser sends without asking. A client
  // that is no browser states no origin. Errors: PermissionDenied.
  absl::Status CheckOrigin(const ApiRequest& request) const;
  // Compares in a time that depends on the lengths alone. Errors: Unauthenticated.
  absl::Status CheckToken(const ApiRequest& request) const;
};

// The first line of the file. Errors: NotFound; FailedPrecondition (others than its owner may read it);
// InvalidArgument (shorter than 16 characters, or with characters that a header cannot carry).
absl::StatusOr<std::string> ReadToken(const std::filesystem::path& path);

}  // namespace likeness
