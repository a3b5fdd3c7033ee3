// Which steps of a network our own convolution in tiles takes, and what it may do with what lies between them. All
// functions: any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "infer/network.h"
#include "infer/tile_convolution.h"

namespace likeness {

// The shape for one image, with an output in bf16 that is not pooled; nothing where the step is another's.
std::optional<TileConvolutionShape> TilesOf(const Network& network, size_t step);

// Whether the step after this one halves both sides of what it gives, and nobody else reads that.
bool PoolsNext(const Network& network, size_t step);

// Values that only convolutions in tiles make and read, after a kRelu: they may lie as what they are less a constant of
// each channel.
std::vector<int> CenteredValues(const Network& network);

}  // namespace likeness
