// A small picture that can be sampled anywhere at any size, and whether two of them agree where they overlap.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/status.h"
#include "image/pixels.h"
#include "rank/verify.h"

namespace likeness {

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

// How far the pixels of two pictures agree where one lies upon the other.
struct PixelAgreement {
  Affine transform;             // the one given, moved to where the pixels agree best
  float correlation = 0;        // of luma, over all that both show, in [-1, 1]
  float agreeing = 0;           // share of the blocks with anything to see whose luma agrees, in [0, 1]
  float block_correlation = 0;  // mean of the correlations of those blocks
  float detail = 0;             // correlation of what stands out from its surroundings, strong and faint alike
  float toned = 0;              // share of all blocks whose brightness and color one change of both explains
  float shown = 0;      // share of the samples that stand out, of the picture with more, that the other one shows
  float lost = 1;       // share of all blocks of which next to nothing is the same in both
  float recolored = 0;  // share of the blocks with anything to see that have another color at the same brightness
  size_t blocks = 0;    // blocks with anything to see
  float color_difference = 0;  // mean difference of color, of luma's range of 255
  float contrast = 0;          // standard deviation of luma, the smaller of the two, 0..128
};

// A change of tones takes red, green and blue along one line and cuts them off where a picture ends, in either picture.
// Blocks are eighths or so of the overlap's sides. Brightness and contrast may differ, between blocks too; text or a
// mark laid over one of the pictures costs the blocks that it covers. `transform` takes the query's frame to the
// document's. Nothing (0 blocks) where they do not overlap.
PixelAgreement ComparePixels(const Thumbnail& query, const Thumbnail& document, const Affine& transform);

}  // namespace likeness
