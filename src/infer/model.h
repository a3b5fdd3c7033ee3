// A model file as a function on tensors.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "infer/model_card.h"

namespace likeness {

// A network cut at one layer, or several. Constant after construction; any number of threads may Run at once, and do
// not wait for each other.
class Model {
 public:
  virtual ~Model() = default;

  // Floats of one image: 3 * width * height, laid out as the card says.
  virtual size_t input_size() const = 0;
  // Floats that come out for one image: of the layer, or of all layers one after another.
  virtual size_t output_size() const = 0;
  // Floats of each layer, in the order that was asked for; their sum is output_size().
  virtual std::vector<size_t> layer_sizes() const { return {output_size()}; }
  // Images that one step of the engine takes best: Run cuts larger counts, and takes or fills up smaller ones; to use
  // many cores, Run from many threads.
  virtual size_t batch() const = 0;

  // Runs `count` images laid one after another and writes their vectors one after another. A layer of shape [N,C,H,W]
  // is averaged over H and W; one of tokens, [N,T,D], gives its first token or their mean, as the card says; any other
  // shape is flattened behind its first dimension.
  // Errors: InvalidArgument when the spans do not fit `count`; Internal, ResourceExhausted from the engine.
  virtual absl::Status Run(std::span<const float> images, size_t count, std::span<float> out) const = 0;
};

// Who computes. Both read the same files and give the same values as far as the precision promises.
enum class Executor {
  kAuto,         // oneDNN for what it can do, else ONNX Runtime
  kOneDnn,       //
  kOnnxRuntime,  // always in f32
};

struct ModelOptions {
  std::vector<std::string> layers = {};     // see ModelCard::TensorOf; none: the card's default
  size_t threads = 1;                       // that one Run may use
  bool verify_checksum = true;              // compare the file with the card's sha256
  Executor executor = Executor::kAuto;      //
  std::optional<Precision> precision = {};  // overrides the card's
};

// Loads an ONNX file, cut at the layers, which may be any float tensors of the graph, also such that the file does not
// declare as outputs. A graph that oneDNN cannot run goes to ONNX Runtime, with a line in the log that says why.
// Errors: NotFound (no file); InvalidArgument, one sentence (not an ONNX file, checksum differs, no such layer with the
// nearest names, another input shape or type than the card says, a layer without a fixed size); Unimplemented, with
// kOneDnn only.
absl::StatusOr<std::unique_ptr<Model>> LoadModel(const std::filesystem::path& path, const ModelCard& card,
                                                 const ModelOptions& options = {});

// The same with ONNX Runtime whatever the options say, and one layer before those of the options where it is not empty:
// the slow truth.
absl::StatusOr<std::unique_ptr<Model>> LoadOnnxModel(const std::filesystem::path& path, const ModelCard& card,
                                                     std::string_view layer = {}, const ModelOptions& options = {});

// "auto", "onednn", "onnxruntime".
std::string_view ExecutorName(Executor executor);
absl::StatusOr<Executor> ParseExecutor(std::string_view name);  // InvalidArgument

}  // namespace likeness
