// Convolution in bf16 with sums in f32 through AMX tiles, channels last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "infer/network.h"

namespace likeness {

struct TileConvolutionShape {
  size_t images = 1, channels = 32, height = 1, width = 1;  // channels a multiple of 32
  size_t outputs = 32, out_height = 1, out_width = 1;       // outputs a multiple of 32
  size_t kernel_height = 1, kernel_width = 1, stride_height = 1, stride_width = 1, top = 0, left = 0;
  Activation activation;  // kNone, or kRelu with an alpha of 0
  bool bf16 = true;       // of the output; else f32

  size_t weights() const { return outputs * channels * kernel_height * kernel_width; }
  // Bytes that TileConvolution writes to while it runs: the rows under a band of the output.
  size_t scratch() const;

  // Output pixels of one tile: a row is cut into tiles of one length, of which the last may overlap the one before.
  size_t tile() const;
  // Output rows of one band.
  size_t band() const;
  // Input pixels that a row of the output looks at, padding included.
  size_t row() const { return (out_width - 1) * stride_width + kernel_width; }
};

bool TileConvolutionCan(const Activation& activation);

// Weights bf16[outputs, channels, kernel_height, kernel_width] in the order in which tiles want them, as many.
void TileWeights(const TileConvolutionShape& shape, std::span<const uint16_t> weights, uint16_t* to);

// `from` bf16[images, height, width, channels], `bias` f32[outputs] or null, `to` [images, out_height, out_width,
// outputs]; `weights` of TileWeights, `scratch` aligned to 64. The first needs AMX with bf16; the second is its slow
// twin, equal but for the order of sums, and takes the weights as they are.
void TileConvolution(const TileConvolutionShape& shape, const uint16_t* from, const uint16_t* weights,
                     const float* bias, std::byte* scratch, void* to);
void TileConvolutionPlain(const TileConvolutionShape& shape, const uint16_t* from, const uint16_t* weights,
                          const float* bias, void* to);

}  // namespace likeness
