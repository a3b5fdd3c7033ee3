// A small picture that can be sampled anywhere at any size.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/status.h"
#include "image/pixels.h"
#include "rank/verify.h"

namespace likeness {

// Shares of red, green and blue in luma, and what makes differences of color of blue and red less luma.
struct Rec601 {
  static constexpr float kRed = 0.299f, kGreen = 0.587f, kBlue = 0.114f;
  static constexpr float kBlueDifference = 0.564f, kRedDifference = 0.713f;
};

// At most kSide pixels on the longer side, as luma and two differences of color (Rec. 601, 0..255 and about 0), with
// halves of it down to a few pixels. About 1 MB. Constant after Of; any thread.
class Thumbnail {
 public:
  static constexpr uint32_t kSide = 256;
  static constexpr size_t kChannels = 3;

  // Errors: InvalidArgument when there are no pixels.
  static absl::StatusOr<Thumbnail> Of(const Pixels& pixels);

  FrameSize frame() const { return frame_; }
  float pixel() const { return pixel_; }  // size of one, in pixels of the frame

  // The value around a point of the frame, averaged over about `width` pixels of the frame; beyond the edges that of
  // the nearest pixel.
  std::array<float, kChannels> At(Point point, float width) const;
  float LumaAt(Point point, float width) const;

 private:
  struct Level {
    int width = 0, height = 0;
    std::array<std::vector<float>, kChannels> channels;
  };
  struct Place {
    size_t level = 0;
    float share = 0;  // of the next level
    float x = 0, y = 0;
  };
  Place Find(Point point, float width) const;
  static float Bilinear(const Level& level, size_t channel, float x, float y);
  float Value(const Place& place, size_t channel) const;

  FrameSize frame_;
  float pixel_ = 1;
  std::vector<Level> levels_;
};

}  // namespace likeness
