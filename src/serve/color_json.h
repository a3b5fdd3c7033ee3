// Colors as JSON: the palette of a picture, and the color that was asked for.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "feature/color.h"

namespace likeness {

// "#rrggbb", the nearest that sRGB has.
std::string HexColor(const Lab& lab);

// [{"color": "#rrggbb", "name", "weight"}], as the signature has them.
nlohmann::ordered_json PaletteJson(std::span<const SalientColor> palette);

// The palette of a stored value of the feature color; empty for bytes that are none.
nlohmann::ordered_json PaletteJson(std::span<const std::byte> value);

}  // namespace likeness
