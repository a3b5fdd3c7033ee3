// Words of a text, as the text filter compares them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace likeness {

// The distinct words of a UTF-8 text in lower case, sorted: runs of letters and digits of any script. Bytes that are no
// UTF-8 separate words. A word longer than 64 bytes is cut at a character.
std::vector<std::string> WordsOf(std::string_view text);

}  // namespace likeness
