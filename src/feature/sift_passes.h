// The inner loops of SIFT over rows of floats, for the processor that runs them. For src/feature/sift.cc alone.
//
// One source (sift_passes_body.h) is compiled for every CpuLevel with vectors of its width. It multiplies and adds
// without fusing, keeps each element's order of operations, and adds across lanes nowhere: every level gives the same
// bits. Rows may be read and written up to kRowSlack floats beyond their width.
#pragma once

#include <cstddef>
#include <cstdint>

namespace likeness {

inline constexpr int kRowSlack = 64;       // floats
inline constexpr int kMaxBlurRadius = 16;  // of a filter

// A filter of 2 * radius + 1 taps, the same on both sides: weights[0] is the middle one's.
struct BlurFilter {
  int radius = 0;
  float weights[kMaxBlurRadius + 1] = {};
};

// A picture of floats with rows `stride` apart.
struct Plane {
  float* data = nullptr;
  int width = 0;
  int height = 0;
  int stride = 0;

  float* row(int y) const { return data + static_cast<size_t>(y) * static_cast<size_t>(stride); }
};

// A square of samples around a keypoint, each `step` pixels from the next, turned so that its x axis points along
// (cos, sin). Samples beyond the plane repeat its edge.
inline constexpr int kPatchSide = 24;              // samples of which gradients are known
inline constexpr int kPatchStride = 32;            // floats from a row of samples to the next
inline constexpr int kPatchRows = kPatchSide + 2;  // one more sample on each side
inline constexpr int kOrientationBins = 8;         // of a descriptor
inline constexpr int kSpatialBins = 4;             // of a descriptor, on each axis
inline constexpr int kDescriptorSize = kSpatialBins * kSpatialBins * kOrientationBins;

struct PatchPlace {
  float x = 0;  // of its center, in pixels of the plane; a pixel's center is at a whole number
  float y = 0;
  float step = 1;
  float cos = 1;
  float sin = 0;
};

// Sample (row, column) of the square kPatchSide x kPatchSide stands at row * kPatchStride + column.
struct Patch {
  alignas(64) float samples[kPatchRows * kPatchStride + kRowSlack];
  alignas(64) float magnitude[kPatchSide * kPatchStride];
  alignas(
      64) float turn[kPatchSide * kPatchStride];  // direction of the gradient in the patch, in [0, 1] of a full turn
};

// How a descriptor gathers a patch: by row and by column the weight in each of the spatial bins, the window included.
struct PoolWeights {
  float rows[kPatchSide][kSpatialBins];
  float columns[kPatchSide][kSpatialBins];
};

struct SiftPasses {
  // out[x] = gray of `width` interleaved RGB triples, in [0, 255].
  void (*gray_row)(const uint8_t* rgb, int width, float* out);
  // Twice as wide: out[2i] and out[2i + 1] lie a quarter of a pixel left and right of row[i], between a row and
  // another one, which weighs a quarter.
  void (*double_row)(const float* row, const float* other, int width, float* scratch, float* out);
  // One row of a plane blurred both ways: `rows` are 2 * radius + 1 pointers. `scratch` has width + 2 * kRowSlack.
  void (*blur_row)(const float* const* rows, const BlurFilter& filter, int width, float* scratch, float* out);
  // out[x] = a[x] - b[x]
  void (*subtract_row)(const float* a, const float* b, int width, float* out);
  // Columns in [begin, end) of the middle one of nine rows (three scales of three rows, scale by scale) where its value
  // is beyond +-threshold and none of the 26 neighbors is beyond it. Returns how many; `out` has room for all.
  int (*find_extrema)(const float* const* rows, float threshold, int begin, int end, int* out);
  // Samples, then the gradients' magnitude and turn.
  void (*sample_patch)(const Plane& plane, const PatchPlace& place, Patch& patch);
  // The descriptor of the patch: kDescriptorSize sums, by spatial row, spatial column, orientation.
  void (*pool_patch)(const Patch& patch, const PoolWeights& weights, float* descriptor);
};

// Those of the active CpuLevel.
const SiftPasses& ActiveSiftPasses();

}  // namespace likeness
