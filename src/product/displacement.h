// How far the parts of one picture lie beside where the other one has them, after both were laid upon one another as
// well as one affine map can. A copy's parts lie right, whatever became of it; a second photograph of the same things
// was taken from a little beside, and its near parts move against its far ones.
#pragma once

#include <cstddef>
#include <vector>

namespace likeness {

// Luma of both pictures, 0..255, at the same places: rows of `columns` samples, row by row. NaN where one has none.
struct LumaGrid {
  size_t columns = 0, rows = 0;
  std::vector<float> first, second;  // columns x rows each
};

struct Displacement {
  // Distance that blocks are off, in samples, surer ones counting more; 0 when too few tell.
  float median = 0;
  size_t blocks = 0;  // that tell: of 8 x 8 samples, alike in both pictures, with structure across and down
};

// Each block's shift by one step of B. Lucas and T. Kanade (1981), right up to about a sample; what one affine map of
// all explains is taken off. Any thread.
Displacement MeasureDisplacement(const LumaGrid& grid);

}  // namespace likeness
