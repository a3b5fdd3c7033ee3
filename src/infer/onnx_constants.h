// The constants of an ONNX graph, with those that can be computed before it runs: what exporters write to shape a
// tensor (Shape, Gather, Unsqueeze, Concat, ...), and constants in other clothes.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "infer/onnx_file.h"

namespace likeness {

class OnnxConstants {
 public:
  explicit OnnxConstants(const std::map<std::string_view, OnnxTensor>& given) : tensors_(given) {}

  // Null when it is no constant.
  const OnnxTensor* Find(std::string_view name) const;

  // Adds what the node gives when that can be known now; `shape_of` tells the shape of other tensors, for Shape.
  bool Evaluate(const OnnxNode& node,
                const std::function<std::optional<std::vector<int64_t>>(std::string_view)>& shape_of);

  // The shape that Reshape, Squeeze or Unsqueeze makes of `shape`; nothing when it is not known or does not fit.
  std::optional<std::vector<int64_t>> ReshapedTo(const OnnxNode& node, const std::vector<int64_t>& shape,
                                                 int64_t opset) const;

 private:
  std::optional<OnnxTensor> Compute(const OnnxNode& node, const std::vector<const OnnxTensor*>& inputs) const;

  std::map<std::string_view, OnnxTensor> tensors_;
};

}  // namespace likeness
