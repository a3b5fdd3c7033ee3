// Pixels to another size.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/status.h"
#include "image/pixels.h"
#include "types/region.h"

namespace likeness {

// How a picture is fitted into a frame of other proportions.
enum class Fit {
  kCrop,     // keeps proportions, fills the frame, cuts the longer side off equally at both ends
  kPad,      // keeps proportions, shows everything, fills the rest with the padding color
  kMild,     // between kCrop and kPad: cuts off what is too long, but 18 % of that side at most, then pads
  kStretch,  // shows everything, proportions change
};

struct ResampleOptions {
  uint32_t width = 224;  // of the result, > 0
  uint32_t height = 224;
  Fit fit = Fit::kCrop;
  std::array<uint8_t, 3> padding = {255, 255, 255};  // for kPad and kMild
};

// Resizes `region` of the picture (pixels of the full size; the whole picture where it is nothing) to exactly
// options.width x options.height. Bicubic (a = -0.5) with its support widened when it reduces, so that nothing aliases;
// in whole numbers, with weights of 14 bits and 6 bits behind the point between the two directions. Differs from
// Pillow's Image.resize(BICUBIC), which rounds between the two directions, by two levels at most and a tenth of a level
// on average. The result is its own full size. Errors: InvalidArgument when the region is not within the picture, the
// picture is empty, or the size is 0. Any thread.
absl::StatusOr<Pixels> Resample(const Pixels& pixels, const std::optional<Region>& region,
                                const ResampleOptions& options);

// What becomes of a pixel's values.
struct TensorOptions {
  bool planar = true;     // one channel after the other, else triples
  bool reversed = false;  // blue first
  // By channel of the tensor: (value - mean) * scale.
  std::array<float, 3> mean = {};
  std::array<float, 3> scale = {1, 1, 1};
};

// Resamples right into what a network takes; the same numbers as Resample and then the formula.
// REQUIRES: out.size() == 3 * options.width * options.height. Errors: those of Resample. Any thread.
absl::Status ResampleToTensor(const Pixels& pixels, const std::optional<Region>& region, const ResampleOptions& options,
                              const TensorOptions& tensor, std::span<float> out);

}  // namespace likeness
