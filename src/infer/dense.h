// A matrix times a few vectors in bf16 with sums in f32. Reading the matrix is what takes the time: it is streamed
// once, in order, for all vectors. (fc6 of VGG-16 has 205 MB: 20 ms with oneDNN 2.6 on a core that can read them
// in 11.)
#pragma once

#include <cstddef>
#include <cstdint>

#include "infer/network.h"

namespace likeness {

struct DenseShape {
  size_t vectors = 1, inputs = 32, outputs = 64;  // inputs a multiple of 32, outputs of 64
  Activation activation;
  bool bf16 = false;  // of what comes out; else f32
};

// The matrix in blocks of 64 outputs and, inside, of two inputs: weight of input i and output o at
// ((o / 64 * inputs / 2 + i / 2) * 64 + o % 64) * 2 + i % 2. `from` bf16[vectors, inputs], `bias` f32[outputs] or null,
// `sums` f32[vectors, outputs] to work in, `to` [vectors, outputs]. The first needs AVX-512 with bf16; the second is
// its slow twin, equal but for the order of sums.
void Dense(const DenseShape& shape, const uint16_t* from, const uint16_t* weights, const float* bias, float* sums,
           void* to);
void DensePlain(const DenseShape& shape, const uint16_t* from, const uint16_t* weights, const float* bias, float* sums,
                void* to);

}  // namespace likeness
