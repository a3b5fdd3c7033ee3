// What stands in the first line of a request: path and query, taken apart and decoded.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace likeness {

struct Target {
  std::string path;                                        // decoded; begins with '/'
  std::vector<std::pair<std::string, std::string>> query;  // decoded, '+' being a space, in the order sent

  // Errors: InvalidArgument (no path, or a '%' without two hexadecimal digits).
  static absl::StatusOr<Target> Parse(std::string_view text);

  // InvalidArgument naming the first parameter that is not among `known` or is there twice.
  absl::Status Check(std::initializer_list<std::string_view> known) const;
  // Null when it is absent. REQUIRES: Check has passed, for there to be one at most
  const std::string* Find(std::string_view name) const;
  // The parameter as a whole number in [least, most], or `otherwise`. Errors: InvalidArgument naming it.
  absl::StatusOr<uint64_t> Number(std::string_view name, uint64_t least, uint64_t most, uint64_t otherwise) const;
  // The parameter, or "". Errors: InvalidArgument naming it when it is longer than kMaxText characters.
  absl::StatusOr<std::string> Text(std::string_view name) const;
};

inline constexpr size_t kMaxText = 1024;  // characters of a board or text filter

// InvalidArgument naming the parameter when `text` has more than kMaxText characters.
absl::Status CheckText(std::string_view name, std::string_view text);

}  // namespace likeness
