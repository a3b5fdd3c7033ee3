// A wanted color: "the same look, in red".
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "feature/color.h"

namespace likeness {

struct ColorQuery {
  Lab lab;

  // A name ("red", "navy blue", "off-white"; case, blanks and hyphens do not matter) or "#rrggbb". Nothing for what is
  // neither; ColorNames() has the names.
  static std::optional<ColorQuery> Parse(std::string_view text);

  // How much of a picture has the color, in [0, 1]: the sum over its colors of weight times likeness, which falls from
  // 1 to 0 over 25 units of CIE 94 (CIE 116-1995; lightness counted half, as for textiles). The formula widens with the
  // chroma of the wanted color, so that a strong red also finds the duller reds of cloth. Any thread.
  float Match(std::span<const SalientColor> signature) const;
};

// All names, in lower case and in alphabetical order.
std::span<const std::string_view> ColorNames();

// The name that is nearest to a color: for people to read.
std::string_view NearestColorName(const Lab& lab);

}  // namespace likeness
