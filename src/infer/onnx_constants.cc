#include "infer/onnx_constants.h"

#include <algorithm>

namespace likeness {
namespace {

OnnxTensor Integers(std::vector<int64_t> values) {
  OnnxTensor tensor;
  tensor.whole = true;
  tensor.shape = {static_cast<int64_t>(values.size())};
  tensor.integers = std::move(values);
  return tensor;
}

}  // namespace

const OnnxTensor* OnnxConstants::Find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

bool OnnxConstants::Evaluate(const OnnxNode& node,
                             const std::function<std::optional<std::vector<int64_t>>(std::string_view)>& shape_of) {
  if (node.outputs.size() != 1) return false;
  if (node.op == "Shape" && node.inputs.size() == 1 && node.attributes.empty()) {
    const OnnxTensor* constant = Find(node.inputs[0]);
    auto shape = constant != nullptr ? std::optional(constant->shape) : shape_of(node.inputs[0]);
    if (!shape) return false;
    tensors_.insert_or_assign(node.outputs[0], Integers(*std::move(shape)));
    return true;
  }
  std::vector<const OnnxTensor*> inputs;
  for (const std::string_view name : node.inputs) {
    inputs.push_back(Find(name));
    if (inputs.back() == nullptr) return false;
  }
  auto made = Compute(node, inputs);
  if (!made) return false;
  tensors_.insert_or_assign(node.outputs[0], *std::move(made));
  return true;
}

std::optional<OnnxTensor> OnnxConstants::Compute(const OnnxNode& node,
                                                 const std::vector<const OnnxTensor*>& inputs) const {
  if (node.op == "Constant") {
    const auto value = node.attributes.find("value");
    if (value != node.attributes.end() && value->second.tensor != nullptr) return *value->second.tensor;
    if (node.attributes.contains("value_ints")) return Integers(node.Integers("value_ints", {}));
    if (node.attributes.contains("value_int")) {
      OnnxTensor tensor = Integers({node.Integer("value_int", 0)});
      tensor.shape.clear();
      return tensor;
    }
    if (const auto number = node.attributes.find("value_float"); number != node.attributes.end()) {
      OnnxTensor tensor;
      tensor.storage = std::make_shared<std::vector<float>>(1, number->second.number);
      tensor.floats = FloatView(*tensor.storage);
      return tensor;
    }
    return std::nullopt;
  }
  if (inputs.empty()) return std::nullopt;
  const OnnxTensor& first = *inputs[0];
  if (node.op == "Identity") return first;
  if (node.op == "Reshape" || node.op == "Squeeze" || node.op == "Unsqueeze") {
    auto shape = ReshapedTo(node, first.shape, 0);
    if (!shape) return std::nullopt;
    OnnxTensor tensor = first;
    tensor.shape = *std::move(shape);
    return tensor;
  }
  if (!first.whole) return std::nullopt;
  if (node.op == "Cast" && node.Integer("to", 0) == 7) return first;
  if (node.op == "Gather" && inputs.size() == 2 && inputs[1]->whole && first.shape.size() == 1 &&
      node.Integer("axis", 0) == 0 && inputs[1]->shape.size() <= 1) {
    std::vector<int64_t> picked;
    const auto size = static_cast<int64_t>(first.integers.size());
    for (int64_t index : inputs[1]->integers) {
      if (index < 0) index += size;
      if (index < 0 || index >= size) return std::nullopt;
      picked.push_back(first.integers[static_cast<size_t>(index)]);
    }
    OnnxTensor tensor = Integers(std::move(picked));
    tensor.shape = inputs[1]->shape;
    return tensor;
  }
  if (node.op == "Concat") {
    std::vector<int64_t> joined;
    for (const OnnxTensor* input : inputs) {
      if (!input->whole || input->shape.size() != 1) return std::nullopt;
      joined.insert(joined.end(), input->integers.begin(), input->integers.end());
    }
    return Integers(std::move(joined));
  }
  if (node.op == "Slice" && inputs.size() >= 3 && first.shape.size() == 1 && inputs.size() <= 4) {
    const auto size = static_cast<int64_t>(first.integers.size());
    if (inputs[1]->integers.size() != 1 || inputs[2]->integers.size() != 1) return std::nullopt;
    const auto place = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size); };
    const int64_t begin = place(inputs[1]->integers[0]), end = std::max(begin, place(inputs[2]->integers[0]));
    return Integers({first.integers.begin() + begin, first.integers.begin() + end});
  }
  return std::nullopt;
}

std::optional<std::vector<int64_t>> OnnxConstants::ReshapedTo(const OnnxNode& node, const std::vector<int64_t>& shape,
                                                              int64_t opset) const {
  const OnnxTensor* given = node.inputs.size() > 1 ? Find(node.inputs[1]) : nullptr;
  if (node.inputs.size() > 1 && (given == nullptr || !given->whole)) return std::nullopt;
  if (node.op == "Reshape") {
    auto to = given != nullptr ? given->integers : node.Integers("shape", {});
    int64_t size = 1, known = 1;
    for (const int64_t n : shape) size *= n;
    auto open = to.end();
    for (auto at = to.begin(); at != to.end(); ++at) {
      if (*at == 0 && node.Integer("allowzero", 0) == 0) {
        const auto axis = static_cast<size_t>(at - to.begin());
        if (axis >= shape.size()) return std::nullopt;
        *at = shape[axis];
      }
      if (*at < -1 || (*at == -1 && open != to.end()) || *at > size) return std::nullopt;
      if (*at == -1) {
        open = at;
      } else {
        known *= *at;
        if (known > size) return std::nullopt;
      }
    }
    if (open != to.end()) {
      if (known == 0 || size % known != 0) return std::nullopt;
      *open = size / known;
      known = size;
    }
    return known == size ? std::optional(std::move(to)) : std::nullopt;
  }
  auto axes = given != nullptr ? given->integers : node.Integers("axes", {});
  std::vector<int64_t> to;
  if (node.op == "Unsqueeze") {
    const auto rank = static_cast<int64_t>(shape.size() + axes.size());
    for (int64_t& axis : axes) axis = axis < 0 ? axis + rank : axis;
    size_t next = 0;
    for (int64_t axis = 0; axis < rank; ++axis) {
      if (std::ranges::count(axes, axis) == 1) {
        to.push_back(1);
      } else if (next < shape.size()) {
        to.push_back(shape[next++]);
      }
    }
    return static_cast<int64_t>(to.size()) == rank ? std::optional(std::move(to)) : std::nullopt;
  }
  // Squeeze. Without axes it would drop the batch too, were that 1.
  if (axes.empty() && opset != 0) return std::nullopt;
  const auto rank = static_cast<int64_t>(shape.size());
  for (int64_t& axis : axes) axis = axis < 0 ? axis + rank : axis;
  for (int64_t axis = 0; axis < rank; ++axis) {
    const int64_t size = shape[static_cast<size_t>(axis)];
    if (std::ranges::count(axes, axis) == 0 && !(axes.empty() && size == 1)) {
      to.push_back(size);
    } else if (size != 1) {
      return std::nullopt;
    }
  }
  return to;
}

}  // namespace likeness
