#include "queue/nats_subjects.h"

#include <cstddef>
#include <span>

#include "base/bytes.h"

namespace likeness {
namespace {

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

std::string SubjectOf(std::string_view id) {
  std::string subject;
  for (const char c : id) {
    if (IsPlain(c)) {
      subject += c;
    } else if (c == '/') {
      subject += '.';
    } else {
      subject += '=' + HexEncode(AsBytes({&c, 1}));
    }
  }
  return subject;
}

std::optional<std::string> IdOf(std::string_view subject) {
  std::string id;
  for (size_t i = 0; i < subject.size(); ++i) {
    std::byte escaped{};
    if (IsPlain(subject[i])) {
      id += subject[i];
    } else if (subject[i] == '.') {
      id += '/';
    } else if (subject[i] == '=' && HexDecode(subject.substr(i + 1, 2), {&escaped, 1})) {
      id += static_cast<char>(escaped);
      i += 2;
    } else {
      return std::nullopt;
    }
  }
  return id;
}

}  // namespace likeness
