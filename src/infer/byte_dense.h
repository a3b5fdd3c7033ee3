// A large matrix times a few vectors, its weights a byte each. Reading the matrix is what takes the time, and bytes are
// half of bf16.
//
// Each run of 128 weights of one output has a scale of its own, so that one large weight coarsens only its neighbors.
// An input is 15 bits and a sign under one scale for the vector, taken apart into two bytes, so that sums are of whole
// numbers and exact. The rounding of the weights is all that is lost: less than what bf16 does to the layers before
// (docs/executors.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "infer/network.h"
#include "infer/page_bytes.h"

namespace likeness {

struct ByteDenseShape {
  static constexpr size_t kRun = 128;  // weights that share a scale
  static constexpr size_t kMostVectors = 8;

  size_t vectors = 1, inputs = 128, outputs = 16;  // inputs a multiple of 128, outputs of 16; at most 8 vectors
  Activation activation;
  bool bf16 = false;   // of what comes out; else f32
  size_t threads = 1;  // that share one run; the numbers are the same for any number of them

  // Bytes that ByteDense writes to while it runs.
  size_t scratch() const { return (2 * vectors * inputs + 63) / 64 * 64; }
};

// The matrix in tiles: for each 16 outputs and each run of inputs 2 KiB of weights, four inputs of each output in turn,
// and the 16 scales.
class ByteMatrix {
 public:
  // Writes the weights of one output, [inputs]. Several threads call it at once.
  using Row = std::function<void(size_t output, float* to)>;
  ByteMatrix(size_t inputs, size_t outputs, const Row& row);

  const std::byte* data() const { return bytes_.get(); }
  // The weight that stands for the one given.
  float At(size_t output, size_t input) const;

 private:
  void SetOutput(size_t output, const float* floats);

  size_t inputs_;
  Bytes bytes_;
};

// `from` bf16[vectors, inputs], `bias` f32[outputs] or null, `to` [vectors, outputs], `scratch` aligned to 64. The
// first needs AMX; the second is its slow twin, equal but for the order of sums.
void ByteDense(const ByteDenseShape& shape, const uint16_t* from, const ByteMatrix& matrix, const float* bias,
               std::byte* scratch, void* to);
void ByteDensePlain(const ByteDenseShape& shape, const uint16_t* from, const ByteMatrix& matrix, const float* bias,
                    void* to);

}  // namespace likeness
