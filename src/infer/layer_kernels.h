// The steps of a network that our own loops do better than an engine's: those that are bound by memory, not by
// multiplication. Activations are f32, or bf16 (the upper half of an f32), and lie as the engine's convolutions want
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "infer/network.h"

namespace likeness {

// Where channel c of position p of image n lies: ((n * blocks + c / block) * area + p) * block + c % block, with blocks
// = ceil(channels / block). Channels last is block = channels; the ONNX order is block = 1. Channels that fill up the
// last block hold zeros.
struct ImageLayout {
  size_t images = 1, channels = 1, area = 1, block = 1;
  bool bf16 = false;

  size_t blocks() const { return (channels + block - 1) / block; }
  size_t element() const { return bf16 ? 2 : 4; }
};

// f32[images, channels, area] to `to`, which has the same images, channels and area.
void PackImages(const float* from, void* to, const ImageLayout& layout);

// The mean over the area: to f32 or bf16 [images, channels].
void AverageArea(const void* from, const ImageLayout& layout, void* to, bool to_bf16);

// Each channel of each image times a factor [images, channels] of the same type; in place when from == to.
void ScaleChannels(const void* from, const void* factors, const ImageLayout& layout, void* to);

// x / (shift + scale / window * sum of squares over `window` channels) ^ power; from != to.
void NormalizeChannels(const void* from, const ImageLayout& layout, const Step& step, void* to);

// Joins channels of images that all lie channels last, of one element size.
struct ChannelPart {
  const void* data;
  size_t channels;
};
void JoinChannels(std::span<const ChannelPart> parts, size_t pixels, size_t element, void* to);

// f32[rows, columns], each row to its softmax, in place.
void SoftmaxRows(float* values, size_t rows, size_t columns);

}  // namespace likeness
