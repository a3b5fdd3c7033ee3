#include "infer/onnx_writer.h"

#include <cmath>
#include <span>

#include "base/bytes.h"
#include "infer/wire.h"

namespace likeness {
namespace {

using namespace onnx_field;

// A name with the type f32 and the sizes; 0 is any batch.
std::string ValueInfo(std::string_view name, std::initializer_list<int64_t> sizes) {
  std::string shape, tensor, type, value;
  for (const int64_t size : sizes) {
    std::string dimension;
    if (size == 0) {
      AppendBytes(dimension, kDimensionName, "N");
    } else {
      AppendNumber(dimension, kDimensionValue, static_cast<uint64_t>(size));
    }
    AppendBytes(shape, kShapeDimension, dimension);
  }
  AppendNumber(tensor, kTensorTypeElement, kFloat);
  if (sizes.size() > 0) AppendBytes(tensor, kTensorTypeShape, shape);
  AppendBytes(type, kTypeTensor, tensor);
  AppendBytes(value, kValueName, name);
  AppendBytes(value, kValueType, type);
  return value;
}

std::string TensorOf(std::string_view name, const std::vector<int64_t>& shape, uint64_t type, std::string_view raw) {
  std::string tensor;
  for (const int64_t size : shape) AppendNumber(tensor, kTensorDimension, static_cast<uint64_t>(size));
  AppendNumber(tensor, kTensorType, type);
  AppendBytes(tensor, kTensorName, name);
  AppendBytes(tensor, kTensorRaw, raw);
  return tensor;
}

struct AppendAttribute {
  std::string& out;
  void operator()(int64_t value) const {
    AppendNumber(out, kAttributeInteger, static_cast<uint64_t>(value));
    AppendNumber(out, kAttributeType, kTypeInteger);
  }
  void operator()(float value) const {
    AppendFloat(out, kAttributeFloat, value);
    AppendNumber(out, kAttributeType, kTypeFloat);
  }
  void operator()(const std::string& value) const {
    AppendBytes(out, kAttributeText, value);
    AppendNumber(out, kAttributeType, kTypeText);
  }
  void operator()(const std::vector<int64_t>& values) const {
    for (const int64_t value : values) AppendNumber(out, kAttributeIntegers, static_cast<uint64_t>(value));
    AppendNumber(out, kAttributeType, kTypeIntegers);
  }
};

}  // namespace

std::string OnnxWriter::Input(const std::string& name, int64_t channels, int64_t height, int64_t width,
                              int64_t fixed_batch) {
  AppendBytes(inputs_, kGraphInput, ValueInfo(name, {fixed_batch, channels, height, width}));
  return name;
}

std::string OnnxWriter::Node(std::string_view op, const std::vector<std::string>& inputs, const std::string& output,
                             Attributes attributes) {
  std::string node;
  for (const std::string& input : inputs) AppendBytes(node, kNodeInput, input);
  AppendBytes(node, kNodeOutput, output);
  AppendBytes(node, kNodeName, output);
  AppendBytes(node, kNodeOperator, op);
  for (const auto& [name, value] : attributes) {
    std::string attribute;
    AppendBytes(attribute, kAttributeName, name);
    std::visit(AppendAttribute{attribute}, value);
    AppendBytes(node, kNodeAttribute, attribute);
  }
  AppendBytes(nodes_, kGraphNode, node);
  return output;
}

std::vector<float> OnnxWriter::Between(int64_t count, float low, float high) {
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); i += 2) {
    const uint64_t bits = random_();  // two numbers of 24 bits: large models have more than a hundred million weights
    for (size_t half = 0; half < 2 && i + half < values.size(); ++half) {
      values[i + half] = low + static_cast<float>(bits >> (half * 32) & 0xffffff) * 0x1p-24f * (high - low);
    }
  }
  return values;
}

std::vector<float> OnnxWriter::Filters(int64_t count, int64_t fan_in, float gain) {
  const float bound = gain * std::sqrt(6 / static_cast<float>(fan_in));
  auto values = Between(count * fan_in, -bound, bound);
  const auto size = static_cast<size_t>(fan_in);
  for (size_t first = 0; size > 1 && first < values.size(); first += size) {
    const std::span<float> filter = std::span(values).subspan(first, size);
    double sum = 0;
    for (const float value : filter) sum += static_cast<double>(value);
    for (float& value : filter) value -= static_cast<float>(sum / static_cast<double>(fan_in));
  }
  return values;
}

std::string OnnxWriter::Constant(const std::string& name, const std::vector<int64_t>& shape,
                                 const std::vector<float>& values) {
  AppendBytes(constants_, kGraphInitializer, TensorOf(name, shape, kFloat, AsText(std::as_bytes(std::span(values)))));
  return name;
}

std::string OnnxWriter::Constant(const std::string& name, const std::vector<int64_t>& values) {
  AppendBytes(constants_, kGraphInitializer,
              TensorOf(name, {static_cast<int64_t>(values.size())}, kInt64, AsText(std::as_bytes(std::span(values)))));
  return name;
}

std::string OnnxWriter::Convolution(const std::string& input, const std::string& output, const ConvolutionShape& s) {
  std::vector<std::string> inputs = {input};
  const int64_t fan_in = s.in / s.groups * s.kernel * s.kernel;
  inputs.push_back(
      Constant(output + ".weight", {s.out, s.in / s.groups, s.kernel, s.kernel}, Filters(s.out, fan_in, s.gain)));
  if (s.biased) inputs.push_back(Constant(output + ".bias", {s.out}, Between(s.out, -0.1f, 0.1f)));
  return Node("Conv", inputs, output,
              {{"kernel_shape", std::vector<int64_t>{s.kernel, s.kernel}},
               {"strides", std::vector<int64_t>{s.stride, s.stride}},
               {"pads", std::vector<int64_t>{s.pad, s.pad, s.pad, s.pad}},
               {"group", s.groups}});
}

std::string OnnxWriter::Dense(const std::string& input, const std::string& output, int64_t in, int64_t out) {
  const std::string weights = Constant(output + ".weight", {out, in}, Filters(out, in, 1));
  const std::string bias = Constant(output + ".bias", {out}, Between(out, -0.1f, 0.1f));
  return Node("Gemm", {input, weights, bias}, output, {{"transB", int64_t{1}}});
}

std::string OnnxWriter::BatchNorm(const std::string& input, const std::string& output, int64_t channels) {
  return Node("BatchNormalization",
              {input, Constant(output + ".scale", {channels}, Between(channels, 0.8f, 1.2f)),
               Constant(output + ".shift", {channels}, Between(channels, -0.2f, 0.2f)),
               Constant(output + ".mean", {channels}, Between(channels, -0.2f, 0.2f)),
               Constant(output + ".variance", {channels}, Between(channels, 0.8f, 1.2f))},
              output, {{"epsilon", 1e-5f}});
}

std::string OnnxWriter::Finish(const std::vector<std::string>& outputs) {
  std::string graph = std::move(nodes_);
  AppendBytes(graph, kGraphName, "likeness");
  graph += constants_;
  constants_.clear();
  constants_.shrink_to_fit();
  graph += inputs_;
  for (const std::string& output : outputs) AppendBytes(graph, kGraphOutput, ValueInfo(output, {}));
  std::string opset, file;
  AppendNumber(opset, kOpsetVersion, static_cast<uint64_t>(kOpset));
  AppendNumber(file, kModelIrVersion, 7);
  AppendBytes(file, kModelGraph, graph);
  AppendBytes(file, kModelOpset, opset);
  return file;
}

}  // namespace likeness
