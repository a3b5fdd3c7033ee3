// A box in an image.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace likeness {

// In pixels of the upright image (after EXIF orientation), half open: columns [x, x + width), rows [y, y + height).
struct Region {
  int32_t x = 0;
  int32_t y = 0;
  int32_t width = 0;
  int32_t height = 0;

  // Nothing unless `text` is four integers "x,y,width,height" with x, y >= 0 and width, height > 0.
  static std::optional<Region> Parse(std::string_view text);
  // Whether the whole region lies within an image of that size.
  bool Within(int32_t image_width, int32_t image_height) const {
    return x >= 0 && y >= 0 && width > 0 && height > 0 && width <= image_width && height <= image_height &&
           x <= image_width - width && y <= image_height - height;
  }
  friend bool operator==(const Region&, const Region&) = default;
};

}  // namespace likeness
