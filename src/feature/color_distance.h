// How far apart the colors of two pictures are, and ranking by it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "feature/color.h"

namespace likeness {

// The earth mover's distance (Y. Rubner et al., "The Earth Mover's Distance as a Metric for Image Retrieval", IJCV
// 2000): the least work that turns the colors of one signature into those of the other, exactly. Moving a share w over
// a distance d costs w * min(d, kFarApart) / kFarApart (the thresholded ground distance of O. Pele and M. Werman, "Fast
// and Robust Earth Mover's Distances", ICCV 2009), so that it lies in [0, 1] and is a metric. Lightness counts less
// than hue and chroma, since it changes with the light. Any thread. REQUIRES: 1 to kMostColors colors each
float ColorDistance(std::span<const SalientColor> a, std::span<const SalientColor> b);

// Never above ColorDistance: every share moves to the nearest color of the other side, whether there is room or not.
float ColorDistanceBound(std::span<const SalientColor> a, std::span<const SalientColor> b);

// Units of L*a*b*, with lightness scaled by kLightnessWeight, beyond which colors are equally unlike.
inline constexpr float kFarApart = 18;
inline constexpr float kLightnessWeight = 0.35f;

// Signatures laid out for ranking: most are put aside by the bound, several at once. Reading: any thread.
class ColorIndex {
 public:
  struct Hit {
    uint32_t row = 0;  // in the order of Add
    float distance = 0;
  };

  // REQUIRES: 1 to kMostColors colors; size() < 2^32 - 1
  void Add(std::span<const SalientColor> signature);
  size_t size() const { return size_; }

  // The `count` nearest, nearest first, ties by row. The same as by ColorDistance to each.
  std::vector<Hit> Nearest(std::span<const SalientColor> query, size_t count) const;

 private:
  static constexpr size_t kBlock = 16;  // signatures whose bounds are computed at once
  struct Block {
    float l[kMostColors][kBlock], a[kMostColors][kBlock], b[kMostColors][kBlock], weight[kMostColors][kBlock];
  };
  std::vector<SalientColor> RowColors(size_t row) const;

  std::vector<Block> blocks_;
  size_t size_ = 0;
};

}  // namespace likeness
