// 3 x 3 convolutions with stride 1 in f32 by a quarter of the multiplications (S. Winograd; A. Lavin and S. Gray, "Fast
// Algorithms for Convolutional Neural Networks", CVPR 2016): each 4 x 4 pixels of the output come of 6 x 6 of the
// input, both are taken into a space where a convolution is 36 products, and there all is multiplication of matrices.
// For processors with AVX2: oneDNN has it for AVX-512 alone. All functions: any thread, no errors.
#pragma once

#include <cstddef>
#include <span>

#include "infer/network.h"

namespace likeness {

struct WinogradShape {
  static constexpr size_t kBlock = 8;     // channels that lie together
  static constexpr size_t kOutputs = 16;  // that are multiplied together

  // Channels a multiple of 8, outputs of 16.
  size_t images = 1, channels = 8, height = 1, width = 1, outputs = 16, out_height = 1, out_width = 1;
  size_t top = 0, left = 0;  // padding
  Activation activation;     // kNone, or kRelu with an alpha of 0
  size_t threads = 1;        // that share one run; the numbers are the same for any number of them

  size_t down() const { return (out_height + 3) / 4; }
  size_t across() const { return (out_width + 3) / 4; }
  size_t tiles() const { return images * down() * across(); }
  size_t chunk() const;  // tiles that are multiplied at once
  size_t weights() const { return 36 * channels * outputs; }
  // Floats that Winograd writes to while it runs.
  size_t scratch() const { return threads * thread_scratch(); }
  size_t thread_scratch() const { return 36 * chunk() * (channels + outputs); }
};

// Weights [outputs, channels, 3, 3] in that space, [36, outputs / 16, channels, 16].
void WinogradWeights(const WinogradShape& shape, std::span<const float> weights, float* to);

// `from` [images, channels / 8, height, width, 8], `bias` [outputs] or null, `to` [images, outputs / 8, out_height,
// out_width, 8]; `weights` of WinogradWeights; all but `bias` aligned to 32. The first needs AVX2 and FMA; the second
// is its slow twin, which sums the products as they are, and takes the weights as they are.
void Winograd(const WinogradShape& shape, const float* from, const float* weights, const float* bias, float* scratch,
              float* to);
void WinogradPlain(const WinogradShape& shape, const float* from, std::span<const float> weights, const float* bias,
                   float* to);

}  // namespace likeness
