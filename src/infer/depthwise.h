// Loops of our own over activations in bf16, channels last. First the convolution of each channel by itself: weights
// and sums stay f32, which with nine products to a sum is where rounding shows most. (oneDNN 2.6 rounds such weights to
// bf16, and takes no f32 input.)
#pragma once

#include <cstddef>
#include <cstdint>

#include "infer/network.h"

namespace likeness {

struct DepthwiseShape {
  size_t images = 1, channels = 1, height = 1, width = 1, out_height = 1, out_width = 1;
  size_t kernel_height = 1, kernel_width = 1, stride_height = 1, stride_width = 1, top = 0, left = 0;
  Activation activation;  // kNone, kRelu with an alpha of 0, kClip or kHardSwish
  bool bf16 = true;       // of the input; else f32. The output is bf16.

  size_t padded() const { return (channels + 15) / 16 * 16; }
  // Floats that Depthwise writes to while it runs: the rows under the kernel.
  size_t scratch() const { return kernel_height * row() * padded(); }
  size_t row() const { return (out_width - 1) * stride_width + kernel_width; }
};

bool DepthwiseCan(const Activation& activation);

// `from` [images, height, width, channels], `weights` [kernel_height, kernel_width, padded()], `bias` [padded()], `to`
// [images, out_height, out_width, channels]. The first needs AVX-512 with bf16; the second is its slow twin, equal but
// for the order of sums.
void Depthwise(const DepthwiseShape& shape, const void* from, const float* weights, const float* bias, float* scratch,
               uint16_t* to);
void DepthwisePlain(const DepthwiseShape& shape, const void* from, const float* weights, const float* bias,
                    uint16_t* to);

// The largest value under the kernel, bf16 to bf16, channels last; padding does not count. Needs AVX-512 as above; on
// other processors its slow twin answers. REQUIRES: every kernel meets the image
void MaxPoolChannelsLast(const DepthwiseShape& shape, const uint16_t* from, uint16_t* to);
void MaxPoolPlain(const DepthwiseShape& shape, const uint16_t* from, uint16_t* to);

// Local response normalisation of bf16 pixels, channels last: x / (shift + scale * sum of squares over 2 * half + 1
// channels) ^ 0.75, to about 14 bits. `squares`: NormalizeScratch floats of zeros to work in. Needs AVX-512 as above.
size_t NormalizeScratch(size_t channels, size_t half);
void NormalizePixels(const uint16_t* from, size_t pixels, size_t channels, size_t half, float shift, float scale,
                     float* squares, uint16_t* to);

}  // namespace likeness
