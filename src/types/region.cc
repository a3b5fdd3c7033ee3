#include "types/region.h"

#include <charconv>

namespace likeness {

std::optional<Region> Region::Parse(std::string_view text) {
  int32_t values[4];
  for (int i = 0; i < 4; ++i) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), values[i]);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(stop - text.data()));
    if (i < 3) {
      if (text.empty() || text.front() != ',') return std::nullopt;
      text.remove_prefix(1);
    }
  }
  if (!text.empty() || values[0] < 0 || values[1] < 0 || values[2] <= 0 || values[3] <= 0) return std::nullopt;
  return Region{values[0], values[1], values[2], values[3]};
}

}  // namespace likeness
