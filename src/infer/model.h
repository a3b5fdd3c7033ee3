// A model file as a function on tensors.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "base/status.h"
#include "infer/model_card.h"

namespace likeness {

// A network cut at one layer. Constant after construction; any number of threads may Run at once.
class Model {
 public:
  virtual ~Model() = default;

  // Floats of one image: 3 * width * height, laid out as the card says.
  virtual size_t input_size() const = 0;
  // Floats that the layer gives for one image.
  virtual size_t output_size() const = 0;
  // Images that one step of the engine takes: 1 unless the file insists on another number. Run cuts larger counts and
  // fills up smaller ones; to use many cores, Run from many threads.
  virtual size_t batch() const = 0;

  // Runs `count` images laid one after another and writes their vectors one after another. A layer of shape [N,C,H,W]
  // is averaged over H and W; one of tokens, [N,T,D], gives its first token or their mean, as the card says; any other
  // shape is flattened behind its first dimension.
  // Errors: InvalidArgument when the spans do not fit `count`; Internal, ResourceExhausted from the engine.
  virtual absl::Status Run(std::span<const float> images, size_t count, std::span<float> out) const = 0;
};

struct ModelOptions {
  size_t threads = 1;           // that one Run may use
  bool verify_checksum = true;  // compare the file with the card's sha256
};

// Loads an ONNX file with ONNX Runtime, cut at `layer` (see ModelCard::TensorOf; empty means the card's default), which
// may be any float tensor of the graph, also one that the file does not declare as an output.
// Errors: NotFound (no file); InvalidArgument, one sentence (not an ONNX file, checksum differs, no such layer with the
// nearest names, another input shape or type than the card says, a layer without a fixed size).
absl::StatusOr<std::unique_ptr<Model>> LoadOnnxModel(const std::filesystem::path& path, const ModelCard& card,
                                                     std::string_view layer = {}, const ModelOptions& options = {});

}  // namespace likeness
