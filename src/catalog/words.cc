#include "catalog/words.h"

#include <locale.h>
#include <wctype.h>

#include <algorithm>
#include <cstdint>

namespace likeness {
namespace {

constexpr size_t kLongestWord = 64;

// The next code point of `text`, which it shortens; U+FFFD for a byte that begins no valid sequence.
uint32_t NextCodePoint(std::string_view& text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  const size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
  if (length == 0 || length > text.size()) {
    text.remove_prefix(1);
    return 0xFFFD;
  }
  uint32_t point = length == 1 ? first : first & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) {
      text.remove_prefix(1);
      return 0xFFFD;
    }
    point = point << 6 | (byte(i) & 0x3F);
  }
  text.remove_prefix(length);
  return point;
}

void AppendUtf8(uint32_t point, std::string& out) {
  if (point < 0x80) {
    out.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out.push_back(static_cast<char>(0xC0 | point >> 6));
    out.push_back(static_cast<char>(0x80 | (point & 0x3F)));
  } else if (point < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | point >> 12));
    out.push_back(static_cast<char>(0x80 | (point >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (point & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | point >> 18));
    out.push_back(static_cast<char>(0x80 | (point >> 12 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (point >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (point & 0x3F)));
  }
}

}  // namespace

std::vector<std::string> WordsOf(std::string_view text) {
  static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  std::vector<std::string> words;
  std::string word;
  bool full = false;
  const auto end_word = [&] {
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
    full = false;
  };
  while (!text.empty()) {
    const uint32_t point = NextCodePoint(text);
    if (point == 0xFFFD || !::iswalnum_l(static_cast<wint_t>(point), utf8)) {
      end_word();
      continue;
    }
    const size_t before = word.size();
    if (!full) AppendUtf8(static_cast<uint32_t>(::towlower_l(static_cast<wint_t>(point), utf8)), word);
    if (word.size() > kLongestWord) {
      word.resize(before);
      full = true;
    }
  }
  end_word();
  std::ranges::sort(words);
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

}  // namespace likeness
