// Task ids as NATS subjects: each part is one token, '/' becomes '.', and what a token may not hold is escaped.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace likeness {

// "a/b.c" -> "a.b=2ec". Letters, digits, '-' and '_' stay as they are. Any thread.
std::string SubjectOf(std::string_view id);

// The opposite; nothing when `subject` is none of SubjectOf's.
std::optional<std::string> IdOf(std::string_view subject);

}  // namespace likeness
