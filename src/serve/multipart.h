// The body of a form with files, multipart/form-data, taken apart (RFC 7578, RFC 2046 section 5.1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace likeness {

struct FormPart {
  std::string name;
  std::string content_type;  // as sent; "" when the part does not say
  std::string_view content;  // a view of the body
};

// The parts in their order; `content_type` is the whole header of the request, with the boundary. What stands before
// the first and after the last boundary is passed over. Any thread. Errors: InvalidArgument with the reason: no
// boundary, no end, a part without a name, more than 16 parts, more than 8 KiB of headers in a part.
absl::StatusOr<std::vector<FormPart>> ParseMultipart(std::string_view body, std::string_view content_type);

// "image/png" of " Image/PNG; x=y".
std::string MediaType(std::string_view content_type);

}  // namespace likeness
