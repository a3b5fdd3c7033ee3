#include "serve/target.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"

namespace likeness {
namespace {

absl::StatusOr<std::string> Decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      std::byte value;
      if (i + 2 >= text.size() || !HexDecode(text.substr(i + 1, 2), {&value, 1})) {
        return absl::InvalidArgumentError("The address has a % that two hexadecimal digits do not follow.");
      }
      out += static_cast<char>(value);
      i += 2;
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<Target> Target::Parse(std::string_view text) {
  // A proxy may send "http://host/path"; a fragment is never sent by those who keep to the rules.
  if (text.starts_with("http://")) {
    text.remove_prefix(7);
    text.remove_prefix(std::min(text.find('/'), text.size()));
  }
  if (!text.starts_with('/')) return absl::InvalidArgumentError("The address must begin with '/'.");
  text = text.substr(0, text.find('#'));
  const size_t mark = text.find('?');
  Target target;
  LIKENESS_ASSIGN_OR_RETURN(target.path, Decode(text.substr(0, mark), false));
  std::string_view query = mark == text.npos ? std::string_view() : text.substr(mark + 1);
  while (!query.empty()) {
    const std::string_view item = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(item.size() + 1, query.size()));
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    LIKENESS_ASSIGN_OR_RETURN(std::string name, Decode(item.substr(0, equals), true));
    LIKENESS_ASSIGN_OR_RETURN(std::string value,
                              Decode(equals == item.npos ? std::string_view() : item.substr(equals + 1), true));
    target.query.emplace_back(std::move(name), std::move(value));
  }
  return target;
}

absl::Status Target::Check(std::initializer_list<std::string_view> known) const {
  for (size_t i = 0; i < query.size(); ++i) {
    const std::string& name = query[i].first;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return absl::InvalidArgumentError("There is no parameter '" + name + "' here; leave it out.");
    }
    for (size_t j = 0; j < i; ++j) {
      if (query[j].first == name) return absl::InvalidArgumentError("'" + name + "' is given twice; give it once.");
    }
  }
  return absl::OkStatus();
}

const std::string* Target::Find(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

absl::StatusOr<uint64_t> Target::Number(std::string_view name, uint64_t least, uint64_t most,
                                        uint64_t otherwise) const {
  const std::string* text = Find(name);
  if (text == nullptr) return otherwise;
  uint64_t value = 0;
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || stop != end || value < least || value > most) {
    return absl::InvalidArgumentError(std::string(name) + " is '" + text->substr(0, 32) +
                                      "'; give a whole number from " + std::to_string(least) + " to " +
                                      std::to_string(most) + ".");
  }
  return value;
}

absl::StatusOr<std::string> Target::Text(std::string_view name) const {
  const std::string* text = Find(name);
  if (text == nullptr) return std::string();
  LIKENESS_RETURN_IF_ERROR(CheckText(name, *text));
  return *text;
}

absl::Status CheckText(std::string_view name, std::string_view text) {
  // In UTF-8 every character has one byte that is not 10xxxxxx.
  const auto characters =
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  if (static_cast<size_t>(characters) <= kMaxText && text.size() <= 4 * kMaxText) return absl::OkStatus();
  return absl::InvalidArgumentError(std::string(name) + " is longer than " + std::to_string(kMaxText) +
                                    " characters; shorten it.");
}

}  // namespace likeness
