// Whether the pixels of two pictures agree where they overlap.
#pragma once

#include <cstddef>

#include "product/thumbnail.h"
#include "rank/verify.h"

namespace likeness {

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
  // Samples, of which 64 or fewer go across, by which a block in the middle lies beside where one map of all has them;
  // 0 where too few blocks tell, or fewer than .3 of them agree.
  float displaced = 0;
  size_t blocks = 0;           // blocks with anything to see
  float color_difference = 0;  // mean difference of color, of luma's range of 255
  float contrast = 0;          // standard deviation of luma, the smaller of the two, 0..128
};

// A change of tones takes red, green and blue along one line and cuts them off where a picture ends, in either picture.
// Blocks are eighths or so of the overlap's sides. Brightness and contrast may differ, between blocks too; text or a
// mark laid over one of the pictures costs the blocks that it covers. `transform` takes the query's frame to the
// document's. Nothing (0 blocks) where they do not overlap.
PixelAgreement ComparePixels(const Thumbnail& query, const Thumbnail& document, const Affine& transform);

}  // namespace likeness
