#include "serve/multipart.h"

#include <algorithm>
#include <optional>

namespace likeness {
namespace {

constexpr size_t kMaxParts = 16;
constexpr size_t kMaxPartHead = 8 << 10;

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lower;
}

// The value of `wanted` in `type; a=b; wanted="..."`, whose names know no case.
std::optional<std::string> Parameter(std::string_view header, std::string_view wanted) {
  size_t at = header.find(';');
  while (at < header.size()) {
    ++at;  // the ';'
    const size_t equals = header.find_first_of("=;", at);
    if (equals == header.npos) return std::nullopt;
    if (header[equals] == ';') {
      at = equals;
      continue;
    }
    const bool found = Lower(Trim(header.substr(at, equals - at))) == wanted;
    std::string value;
    at = equals + 1;
    while (at < header.size() && (header[at] == ' ' || header[at] == '\t')) ++at;
    if (at < header.size() && header[at] == '"') {
      for (++at; at < header.size() && header[at] != '"'; ++at) {
        // Browsers send a backslash as it is and a quote as %22; other clients escape the quote.
        if (header[at] == '\\' && at + 1 < header.size() && header[at + 1] == '"') ++at;
        value += header[at];
      }
      if (at == header.size()) return std::nullopt;
      at = header.find(';', at);
    } else {
      const size_t end = std::min(header.find(';', at), header.size());
      value = Trim(header.substr(at, end - at));
      at = end;
    }
    if (found) return value;
  }
  return std::nullopt;
}

absl::Status ReadPartHead(std::string_view head, FormPart& part) {
  bool named = false;
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(line.size() + 2, head.size()));
    const size_t colon = line.find(':');
    if (colon == line.npos) return absl::InvalidArgumentError("A part of the form has a header without a ':'.");
    const std::string name = Lower(Trim(line.substr(0, colon)));
    const std::string_view value = Trim(line.substr(colon + 1));
    if (name == "content-type") {
      part.content_type = value;
    } else if (name == "content-disposition") {
      std::optional<std::string> form_name = Parameter(value, "name");
      if (MediaType(value) != "form-data" || !form_name) continue;
      part.name = *std::move(form_name);
      named = true;
    }
  }
  if (named) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "A part of the form has no name; send Content-Disposition: form-data; name=\"...\".");
}

}  // namespace

std::string MediaType(std::string_view content_type) {
  return Lower(Trim(content_type.substr(0, content_type.find(';'))));
}

absl::StatusOr<std::vector<FormPart>> ParseMultipart(std::string_view body, std::string_view content_type) {
  const std::optional<std::string> boundary = Parameter(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > 70) {
    return absl::InvalidArgumentError(
        "The form has no boundary of 1 to 70 characters; let your client set Content-Type.");
  }
  const std::string first = "--" + *boundary;
  const std::string between = "\r\n" + first;
  const absl::Status no_end = absl::InvalidArgumentError("The form ends before its last boundary; send it whole.");

  size_t at = 0;
  if (!body.starts_with(first)) {
    at = body.find(between);
    if (at == body.npos)
      return absl::InvalidArgumentError("The form does not contain the boundary that its header names.");
    at += 2;
  }
  at += first.size();
  std::vector<FormPart> parts;
  while (true) {  // `at` is behind a boundary
    std::string_view rest = body.substr(at);
    if (rest.starts_with("--")) return parts;
    while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) rest.remove_prefix(1);
    if (!rest.starts_with("\r\n")) return no_end;
    if (parts.size() == kMaxParts) {
      return absl::InvalidArgumentError("The form has more than " + std::to_string(kMaxParts) + " parts; send fewer.");
    }
    rest.remove_prefix(2);
    FormPart part;
    // A part without headers begins with the empty line; it has no name, and ReadPartHead says so.
    size_t head_size = 0;
    size_t content_start = 2;
    if (!rest.starts_with("\r\n")) {
      head_size = rest.substr(0, kMaxPartHead).find("\r\n\r\n");
      if (head_size == rest.npos) {
        return rest.size() < kMaxPartHead
                   ? no_end
                   : absl::InvalidArgumentError("A part of the form has more than 8 KiB of headers; send fewer.");
      }
      content_start = head_size + 4;
    }
    LIKENESS_RETURN_IF_ERROR(ReadPartHead(rest.substr(0, head_size), part));
    rest.remove_prefix(content_start);
    // An empty content may be followed by the boundary at once, its line break being that of the empty line.
    const size_t length = rest.find(between);
    if (length == rest.npos) return no_end;
    part.content = rest.substr(0, length);
    at = static_cast<size_t>(rest.data() - body.data()) + length + between.size();
    parts.push_back(std::move(part));
  }
}

}  // namespace likeness
