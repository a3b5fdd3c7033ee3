#include "serve/color_json.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "feature/color_query.h"

namespace likeness {

std::string HexColor(const Lab& lab) {
  const std::array<uint8_t, 3> rgb = RgbOf(lab);
  char text[8];
  std::snprintf(text, sizeof(text), "#%02x%02x%02x", rgb[0], rgb[1], rgb[2]);
  return text;
}

nlohmann::ordered_json PaletteJson(std::span<const SalientColor> palette) {
  auto colors = nlohmann::ordered_json::array();
  for (const SalientColor& color : palette) {
    colors.push_back({{"color", HexColor(color.lab)},
                      {"name", std::string(NearestColorName(color.lab))},
                      {"weight", std::round(static_cast<double>(color.weight) * 1e4) / 1e4}});
  }
  return colors;
}

nlohmann::ordered_json PaletteJson(std::span<const std::byte> value) {
  const std::optional<ColorSignature> palette = ParseColorValue(value);
  return palette ? PaletteJson(std::span<const SalientColor>(*palette)) : nlohmann::ordered_json::array();
}

}  // namespace likeness
