// Convolution in bf16 with sums in f32 through AMX tiles, channels last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "infer/network.h"

namespace likeness {

struct TileConvolutionShape {
  // Channels a multiple of 32; or at most 32 weights an output. Outputs a multiple of 32.
  size_t images = 1, channels = 32, height = 1, width = 1;
  size_t outputs = 32, out_height = 1, out_width = 1;
  size_t kernel_height = 1, kernel_width = 1, stride_height = 1, stride_width = 1, top = 0, left = 0;
  Activation activation;  // kNone, or kRelu with an alpha of 0
  bool bf16 = true;       // of the output; else f32
  bool pool = false;      // of each 2 x 2 of the output the largest alone; its sides are even then
  size_t threads = 1;     // that share one run; the numbers are the same for any number of them

  size_t weights() const { return outputs * channels * kernel_height * kernel_width; }
  // How many they are in the order of TileWeights.
  size_t tile_weights() const { return outputs * depth(); }
  size_t depth() const;  // of an output
  // Whether a tile holds all that its pixels look at, taps and channels, not 32 channels under one tap: then the input
  // is f32, and as good as nothing is lost of it and of the weights.
  bool patches() const { return channels % 32 != 0; }

  // Bytes that TileConvolution writes to while it runs: the rows under a band of the output, for each thread.
  size_t scratch() const { return threads * thread_scratch(); }
  size_t thread_scratch() const;  // a multiple of 64
  // Output pixels of one tile: a row is cut into tiles of one length, of which the last may overlap the one before.
  size_t tile() const;
  // Output rows of one band, and the input rows that it looks at.
  size_t band() const;
  size_t lines() const { return (band() - 1) * stride_height + kernel_height; }
  // Input pixels that a row of the output looks at, padding included.
  size_t row() const { return (out_width - 1) * stride_width + kernel_width; }
};

// What is there for each channel. Zeros where null.
struct TileValues {
  const float* bias = nullptr;       // [outputs]
  const float* least = nullptr;      // [outputs]: what kRelu gives at least
  const uint16_t* around = nullptr;  // bf16[channels]: what the padding holds. Zeros where it is patches()
};

bool TileConvolutionCan(const Activation& activation);

// Weights [outputs, channels, kernel_height, kernel_width] as bf16 in the order in which tiles want them.
void TileWeights(const TileConvolutionShape& shape, std::span<const float> weights, uint16_t* to);

// `from` bf16[images, height, width, channels], or f32 where it is patches(), `to` [images, out_height, out_width,
// outputs], or half as high and wide when pooled; `weights` of TileWeights, `scratch` aligned to 64. The first needs
// AMX with bf16; the second is its slow twin, equal but for the order of sums, and takes the weights as they are (in
// bf16, unless it is patches()).
void TileConvolution(const TileConvolutionShape& shape, const void* from, const uint16_t* weights,
                     const TileValues& values, std::byte* scratch, void* to);
void TileConvolutionPlain(const TileConvolutionShape& shape, const void* from, std::span<const float> weights,
                          const TileValues& values, void* to);

}  // namespace likeness
