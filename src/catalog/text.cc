#include "catalog/text.h"

#include <algorithm>
#include <cstdint>

namespace likeness {
namespace {

// Bytes of U+10FF00 to U+10FFFF: F4 8F BC 80 to F4 8F BF BF.
constexpr std::string_view kEscape = "\xF4\x8F";

void AppendEscaped(uint8_t byte, std::string& out) {
  out.append(kEscape);
  out.push_back(static_cast<char>(0xBC | byte >> 6));
  out.push_back(static_cast<char>(0x80 | (byte & 0x3F)));
}

bool IsEscape(std::string_view text) {
  return text.size() >= 4 && text.starts_with(kEscape) && static_cast<uint8_t>(text[2]) >= 0xBC;
}

// Length of the valid sequence (RFC 3629) that `text` begins with; 0 when it begins with none.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                        : first >> 4 == 0xE              ? 3
                        : first >= 0xF0 && first <= 0xF4 ? 4
                                                         : 0;
  if (length == 0 || length > text.size()) return 0;
  // The second byte keeps out what a shorter sequence could say, surrogates, and what lies beyond U+10FFFF.
  const uint8_t least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const uint8_t most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < least || byte(1) > most) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (byte(i) >> 6 != 2) return 0;
  }
  return length;
}

}  // namespace

std::string ToStored(std::string_view bytes) {
  if (std::ranges::all_of(bytes, [](char c) { return c > 0; })) return std::string(bytes);  // Plain ASCII: nearly all.
  std::string out;
  out.reserve(bytes.size() + 16);
  while (!bytes.empty()) {
    size_t length = SequenceLength(bytes);
    if (length == 0 || bytes[0] == '\0' || IsEscape(bytes)) {
      AppendEscaped(static_cast<uint8_t>(bytes[0]), out);
      length = 1;
    } else {
      out.append(bytes.substr(0, length));
    }
    bytes.remove_prefix(length);
  }
  return out;
}

std::string FromStored(std::string text) {
  if (text.find(kEscape) == std::string::npos) return text;
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    if (IsEscape(rest)) {
      out.push_back(static_cast<char>(static_cast<uint8_t>(rest[2]) << 6 | (static_cast<uint8_t>(rest[3]) & 0x3F)));
      rest.remove_prefix(4);
    } else {
      out.push_back(rest[0]);
      rest.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace likeness
