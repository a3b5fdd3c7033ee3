#include "feature/color_query.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace likeness {
namespace {

struct NamedColor {
  std::string_view name;
  uint32_t rgb;
};

// What shops and people mean by the words; in alphabetical order.
constexpr NamedColor kNamed[] = {
    {"beige", 0xd9c7a3},     {"black", 0x101010},    {"blue", 0x2a56b0},       {"bronze", 0x8c6a3f},
    {"brown", 0x6b4226},     {"burgundy", 0x6d1a2d}, {"charcoal", 0x3c4045},   {"copper", 0xb06a3b},
    {"coral", 0xf57f63},     {"cream", 0xf4ecd2},    {"cyan", 0x20c0d8},       {"gold", 0xc9a449},
    {"gray", 0x888888},      {"green", 0x2e8b40},    {"grey", 0x888888},       {"ivory", 0xf6f2e2},
    {"khaki", 0xa89a72},     {"lavender", 0xb7a3d6}, {"light blue", 0x8fbfe6}, {"lilac", 0xc3a0cf},
    {"lime", 0x9ccb2c},      {"magenta", 0xc21f86},  {"maroon", 0x6a1b26},     {"mauve", 0x9c6f88},
    {"mint", 0xa6dcc0},      {"mustard", 0xcf9f26},  {"navy", 0x1f2a4d},       {"navy blue", 0x1f2a4d},
    {"off white", 0xf0ede2}, {"olive", 0x66653a},    {"orange", 0xee7722},     {"peach", 0xf6bd98},
    {"pink", 0xea7fa8},      {"purple", 0x66348c},   {"red", 0xc8202a},        {"rose", 0xd8617f},
    {"rust", 0xa4492a},      {"salmon", 0xf0917f},   {"sea green", 0x3f9b84},  {"silver", 0xbcbfc2},
    {"sky blue", 0x76b9e8},  {"tan", 0xc19a6b},      {"taupe", 0x8a7b6c},      {"teal", 0x1f7f82},
    {"turquoise", 0x34bfb8}, {"violet", 0x7747a8},   {"white", 0xfafafa},      {"yellow", 0xf2d022},
};

Lab LabOfNumber(uint32_t rgb) {
  return LabOf(static_cast<float>(rgb >> 16 & 255), static_cast<float>(rgb >> 8 & 255), static_cast<float>(rgb & 255));
}

std::string Plain(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c == ' ' || c == '-' || c == '_') continue;
    plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return plain;
}

}  // namespace

std::optional<ColorQuery> ColorQuery::Parse(std::string_view text) {
  if (text.size() == 7 && text.front() == '#') {
    std::array<std::byte, 3> rgb;
    if (!HexDecode(text.substr(1), rgb)) return std::nullopt;
    const auto value = [&](size_t i) { return static_cast<float>(std::to_integer<int>(rgb[i])); };
    return ColorQuery{LabOf(value(0), value(1), value(2))};
  }
  const std::string plain = Plain(text);
  for (const NamedColor& named : kNamed) {
    if (plain == Plain(named.name)) return ColorQuery{LabOfNumber(named.rgb)};
  }
  return std::nullopt;
}

float ColorQuery::Match(std::span<const SalientColor> signature) const {
  constexpr float kReach = 25;
  const float chroma = std::hypot(lab.a, lab.b);
  float match = 0;
  for (const SalientColor& color : signature) {
    const float other = std::hypot(color.lab.a, color.lab.b);
    const float a = lab.a - color.lab.a, b = lab.b - color.lab.b;
    const float dl = (lab.l - color.lab.l) / 2;
    const float dc = (chroma - other) / (1 + 0.045f * chroma);
    const float hue = std::max(0.0f, a * a + b * b - (chroma - other) * (chroma - other));  // squared
    const float width = 1 + 0.015f * chroma;
    const float distance = std::sqrt(dl * dl + dc * dc + hue / (width * width));
    match += color.weight * std::max(0.0f, 1 - distance / kReach);
  }
  return match;
}

std::span<const std::string_view> ColorNames() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> list;
    for (const NamedColor& named : kNamed) list.push_back(named.name);
    return list;
  }();
  return names;
}

std::string_view NearestColorName(const Lab& lab) {
  std::string_view best;
  float least = 1e9f;
  for (const NamedColor& named : kNamed) {
    const float distance = SquaredDistance(LabOfNumber(named.rgb), lab);
    if (distance < least) least = distance, best = named.name;
  }
  return best;
}

}  // namespace likeness
