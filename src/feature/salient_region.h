// Which part of a picture stands out: the thing shown, and not the ground behind it (paper, section 2.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "feature/color_lab.h"
#include "image/pixels.h"
#include "types/region.h"

namespace likeness {

// On a small copy of the picture, `width` x `height`, row after row.
struct SalientRegion {
  uint32_t width = 0;
  uint32_t height = 0;
  std::vector<uint8_t> map;   // 0..255: how much a pixel stands out, 255 for the one that does most
  std::vector<uint8_t> mask;  // 1 where it belongs to the region, else 0; at least one is 1
  bool whole = false;         // nothing stands out: the mask is the whole picture, the map is zeros
  // Around the mask but for a hundredth at each side, in pixels of the upright original.
  Region box;
};

// The longest side of that copy.
inline constexpr uint32_t kSalientSide = 128;

// What must be crossed to come from the edge of the picture to a pixel, in steps of color (the minimum barrier distance
// of J. Zhang et al., "Minimum Barrier Salient Object Detection at 80 FPS", ICCV 2015, with its second cue, how unlike
// the pixel is to the colors of the edges), drawn towards the middle, cut where it divides best (N. Otsu, 1979), with
// what the region encloses. docs/features/color.md. REQUIRES: `small` is not empty. Any thread.
SalientRegion FindSalientRegion(const LabPicture& small, uint32_t full_width, uint32_t full_height);

// The same from pixels that were decoded to the standard size. REQUIRES: pixels are not empty
SalientRegion FindSalientRegion(const Pixels& pixels);

}  // namespace likeness
