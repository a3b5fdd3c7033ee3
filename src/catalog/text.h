// Text as every engine can keep it.
#pragma once

#include <string>
#include <string_view>

namespace likeness {

// Names of files may be any bytes, and a pin's words whatever came in; PostgreSQL takes valid UTF-8 without NUL alone.
// Valid UTF-8 is kept as it is. Each byte that is part of none, or is NUL, becomes the code point U+10FF00 + byte (the
// last 256 of those for private use; where these occur themselves, their bytes are treated so too). Reversible.
std::string ToStored(std::string_view bytes);
std::string FromStored(std::string text);

}  // namespace likeness
