// Pictures of nothing, made by lot: what a search must say no to.
#pragma once

#include <cstddef>
#include <cstdint>

#include "image/pixels.h"

namespace likeness {

// Noise of each pixel in color or gray, blotches, blocks, a gradient, or a checkerboard; the kind goes by `i`. The same
// arguments give the same picture.
Pixels NoisePicture(uint64_t seed, size_t i);

}  // namespace likeness
