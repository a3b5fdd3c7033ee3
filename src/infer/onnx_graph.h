// The little of the ONNX file format that cutting a network at a layer takes.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace likeness {

// The names in a graph, in the order of the file.
struct OnnxOutline {
  std::vector<std::string> inputs;   // those that are not constants
  std::vector<std::string> outputs;  // as declared
  std::vector<std::string> tensors;  // outputs of all nodes
};

// Errors: InvalidArgument when the bytes are no ONNX model.
absl::StatusOr<OnnxOutline> ReadOnnxOutline(std::span<const std::byte> file);

// The same model with the tensors, each once, as its only outputs and without the nodes that do not lead to them. (A
// graph with control flow keeps all its nodes.) Errors: InvalidArgument when the bytes are no ONNX model; when there is
// no such tensor, with the names nearest to it.
absl::StatusOr<std::string> CutOnnxGraph(std::span<const std::byte> file, std::span<const std::string> tensors);
absl::StatusOr<std::string> CutOnnxGraph(std::span<const std::byte> file, std::string_view tensor);

}  // namespace likeness
