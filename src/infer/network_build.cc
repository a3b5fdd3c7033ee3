// From the nodes of an ONNX graph to the steps of a Network. Constants, also those computed from shapes, are evaluated
// here for a batch of one image; a step must not depend on the batch, and what could is refused.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <ranges>
#include <set>

#include "infer/network.h"
#include "infer/onnx_constants.h"
#include "infer/wire.h"

namespace likeness {
namespace {

constexpr int64_t kMostFloats = int64_t{1} << 27;  // of one value, for one image

absl::Status Unread(const OnnxNode& node, std::string_view why) {
  return absl::UnimplementedError(
      "operator " + std::string(node.op) + " of node \"" +
      std::string(node.name.empty() ? node.outputs.empty() ? "" : node.outputs[0] : node.name) + "\" " +
      std::string(why));
}

class Builder {
 public:
  Builder(const OnnxFile& file, const Extent& input) : constants_(file.constants), opset_(file.opset) {
    network_.values.push_back(input);
    network_.input = 0;
    values_.emplace(file.inputs[0].name, 0);
  }

  absl::Status Add(const OnnxNode& node);
  absl::StatusOr<Network> Finish(std::span<const std::string> outputs);

 private:
  // Where padding that a node of its own has put before a convolution or pooling stands.
  struct Pads {
    Pair before = {0, 0}, after = {0, 0};
  };

  const OnnxTensor* ConstantOf(const OnnxNode& node, size_t input) const {
    if (input >= node.inputs.size()) return nullptr;
    return constants_.Find(node.inputs[input]);
  }
  std::optional<int> ValueOf(const OnnxNode& node, size_t input) const {
    if (input >= node.inputs.size()) return std::nullopt;
    const auto found = values_.find(node.inputs[input]);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }
  const Extent& ExtentOf(int value) const { return network_.values[static_cast<size_t>(value)]; }

  absl::Status Emit(const OnnxNode& node, Step step, const Extent& extent) {
    if (extent.channels <= 0 || extent.height <= 0 || extent.width <= 0 || extent.channels > kMostFloats ||
        extent.area() > kMostFloats || extent.size() > kMostFloats) {
      return Unread(node, "gives a value of a size that is not supported");
    }
    step.output = static_cast<int>(network_.values.size());
    network_.values.push_back(extent);
    values_.insert_or_assign(node.outputs[0], step.output);
    flat_.erase(node.outputs[0]);
    network_.steps.push_back(std::move(step));
    return absl::OkStatus();
  }

  absl::Status Window(const OnnxNode& node, const Extent& from, bool pooling, Step& step, Pair& out) const;
  absl::Status AddConvolution(const OnnxNode& node);
  absl::Status AddDense(const OnnxNode& node);
  absl::Status AddPool(const OnnxNode& node);
  absl::Status AddBatchNorm(const OnnxNode& node);
  absl::Status AddArithmetic(const OnnxNode& node);
  absl::Status AddWithConstant(const OnnxNode& node, int value, const OnnxTensor& constant, bool constant_first);
  absl::Status AddFlatten(const OnnxNode& node);
  absl::Status AddPad(const OnnxNode& node);
  absl::Status AddMean(const OnnxNode& node);
  absl::Status AddActivation(const OnnxNode& node, std::optional<Activation> activation);
  absl::Status AddClip(const OnnxNode& node);
  absl::Status AddConcatenation(const OnnxNode& node);

  Network network_;
  std::map<std::string_view, int> values_;
  std::map<std::string_view, Pads> padded_;  // tensors that a Pad made: values_ has the one before it
  std::set<std::string_view> flat_;          // tensors of shape [N,K] that are a view of a value of more axes
  std::set<int> vectors_;                    // values of shape [N,K]
  OnnxConstants constants_;
  int64_t opset_;
};

// Padding, strides and the size of what comes out, of a convolution or a pooling.
absl::Status Builder::Window(const OnnxNode& node, const Extent& from, bool pooling, Step& step, Pair& out) const {
  const auto pair = [&](std::string_view name, Pair& to) {
    const auto values = node.Integers(name, {to[0], to[1]});
    if (values.size() != 2 || values[0] < 1 || values[1] < 1 || values[0] > 65536 || values[1] > 65536) return false;
    to = {values[0], values[1]};
    return true;
  };
  if (!pair("strides", step.stride) || !pair("dilations", step.dilation)) return Unread(node, "is not over two axes");
  const auto pads = node.Integers("pads", {0, 0, 0, 0});
  if (pads.size() != 4 || std::ranges::any_of(pads, [](int64_t pad) { return pad < 0 || pad > 65536; })) {
    return Unread(node, "has padding that is not supported");
  }
  const std::string_view automatic = node.Text("auto_pad", "NOTSET");
  const Pair size = {from.height, from.width};
  const bool up = node.Integer("ceil_mode", 0) != 0;
  const auto padded = padded_.find(node.inputs[0]);
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t reach = (step.kernel[axis] - 1) * step.dilation[axis] + 1;
    int64_t &before = step.before[axis], &after = step.after[axis];
    if (automatic == "NOTSET") {
      before = pads[axis];
      after = pads[axis + 2];
    } else if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      const int64_t wanted = (size[axis] + step.stride[axis] - 1) / step.stride[axis];
      const int64_t all = std::max<int64_t>(0, (wanted - 1) * step.stride[axis] + reach - size[axis]);
      before = automatic == "SAME_UPPER" ? all / 2 : all - all / 2;
      after = all - before;
    } else if (automatic != "VALID") {
      return Unread(node, "has padding that is not supported");
    }
    if (padded != padded_.end()) {
      if (pooling) return Unread(node, "comes after a padding of its own");
      before += padded->second.before[axis];
      after += padded->second.after[axis];
    }
    const int64_t room = size[axis] + before + after - reach;
    if (room < 0) return Unread(node, "is larger than its input");
    out[axis] = (up ? room + step.stride[axis] - 1 : room) / step.stride[axis] + 1;
    if (up) {
      // The last window must begin inside the input or the padding before it.
      if ((out[axis] - 1) * step.stride[axis] >= size[axis] + before) --out[axis];
      const int64_t missing = (out[axis] - 1) * step.stride[axis] + reach - (size[axis] + before + after);
      if (missing > 0 && step.counts_padding) return Unread(node, "counts padding that it does not have");
      after += std::max<int64_t>(0, missing);
    }
    if (pooling && (before >= step.kernel[axis] || after >= step.kernel[axis])) {
      return Unread(node, "has more padding than kernel");
    }
  }
  return absl::OkStatus();
}

absl::Status Builder::AddConvolution(const OnnxNode& node) {
  const auto input = ValueOf(node, 0);
  const OnnxTensor* weights = ConstantOf(node, 1);
  const OnnxTensor* bias = ConstantOf(node, 2);
  if (!input || weights == nullptr || weights->whole || weights->shape.size() != 4 ||
      (node.inputs.size() > 2 && !node.inputs[2].empty() && bias == nullptr)) {
    return Unread(node, "has weights that are not constant, or is not over two axes");
  }
  const Extent from = ExtentOf(*input);
  Step step{Step::Kind::kConvolution, {*input}};
  const auto& shape = weights->shape;
  step.groups = node.Integer("group", 1);
  step.kernel = {shape[2], shape[3]};
  const auto declared = node.Integers("kernel_shape", {shape[2], shape[3]});
  if (std::ranges::any_of(shape, [](int64_t size) { return size < 1 || size > 65536; }) || step.groups < 1 ||
      step.groups > from.channels || shape[1] * step.groups != from.channels || shape[0] % step.groups != 0 ||
      declared != std::vector<int64_t>{shape[2], shape[3]} ||
      (bias != nullptr && (bias->whole || bias->shape != std::vector<int64_t>{shape[0]}))) {
    return Unread(node, "has weights of a shape that does not fit its input");
  }
  Pair out;
  LIKENESS_RETURN_IF_ERROR(Window(node, from, /*pooling=*/false, step, out));
  step.weights = {weights->floats, weights->storage};
  if (bias != nullptr) step.bias = {bias->floats, bias->storage};
  // One pixel of one group is a product of a matrix and a vector.
  if (from.area() == 1 && step.kernel == Pair{1, 1} && step.groups == 1 && out == Pair{1, 1}) {
    step.kind = Step::Kind::kDense;
    step.stride = {1, 1};
    step.before = step.after = {0, 0};
  }
  return Emit(node, std::move(step), {shape[0], out[0], out[1]});
}

absl::Status Builder::AddDense(const OnnxNode& node) {
  const auto input = ValueOf(node, 0);
  const OnnxTensor* weights = ConstantOf(node, 1);
  const bool gemm = node.op == "Gemm";
  const OnnxTensor* bias = gemm ? ConstantOf(node, 2) : nullptr;
  if (!input || weights == nullptr || weights->whole || weights->shape.size() != 2 ||
      padded_.contains(node.inputs[0])) {
    return Unread(node, "does not multiply by a constant matrix");
  }
  if (!vectors_.contains(*input) && !flat_.contains(node.inputs[0])) return Unread(node, "does not take vectors");
  if (gemm &&
      (node.Integer("transA", 0) != 0 || node.Number("alpha", 1) != 1 ||
       (node.inputs.size() > 2 && !node.inputs[2].empty() && (bias == nullptr || node.Number("beta", 1) != 1)))) {
    return Unread(node, "has factors or transpositions that are not supported");
  }
  Step step{Step::Kind::kDense, {*input}};
  step.transposed = !gemm || node.Integer("transB", 0) == 0;
  const int64_t in = weights->shape[step.transposed ? 0 : 1], out = weights->shape[step.transposed ? 1 : 0];
  if (in != ExtentOf(*input).size()) return Unread(node, "has a matrix that does not fit its input");
  step.weights = {weights->floats, weights->storage};
  if (bias != nullptr) {
    if (bias->whole || static_cast<int64_t>(bias->size()) != out || bias->shape.back() != out) {
      return Unread(node, "adds something that is not one number for each output");
    }
    step.bias = {bias->floats, bias->storage};
  }
  LIKENESS_RETURN_IF_ERROR(Emit(node, std::move(step), {out, 1, 1}));
  vectors_.insert(network_.steps.back().output);
  return absl::OkStatus();
}

absl::Status Builder::AddPool(const OnnxNode& node) {
  const auto input = ValueOf(node, 0);
  if (!input || flat_.contains(node.inputs[0]) || vectors_.contains(*input))
    return Unread(node, "has no image as input");
  const Extent from = ExtentOf(*input);
  Step step{node.op == "MaxPool" ? Step::Kind::kMaxPool : Step::Kind::kAveragePool, {*input}};
  if (node.op.starts_with("Global")) {
    if (padded_.contains(node.inputs[0])) return Unread(node, "comes after a padding of its own");
    step.kind = Step::Kind::kGlobalAverage;
    return Emit(node, std::move(step), {from.channels, 1, 1});
  }
  const auto kernel = node.Integers("kernel_shape", {});
  if (kernel.size() != 2 || kernel[0] < 1 || kernel[1] < 1 || kernel[0] > 4096 || kernel[1] > 4096 ||
      node.Integer("storage_order", 0) != 0) {
    return Unread(node, "is not over two axes");
  }
  step.kernel = {kernel[0], kernel[1]};
  step.counts_padding = node.op == "AveragePool" && node.Integer("count_include_pad", 0) != 0;
  Pair out;
  LIKENESS_RETURN_IF_ERROR(Window(node, from, /*pooling=*/true, step, out));
  if (step.dilation != Pair{1, 1}) return Unread(node, "is dilated");
  const bool whole = step.kernel == Pair{from.height, from.width} && step.before == Pair{0, 0} && out == Pair{1, 1};
  if (step.kind == Step::Kind::kAveragePool && whole) step.kind = Step::Kind::kGlobalAverage;
  return Emit(node, std::move(step), {from.channels, out[0], out[1]});
}

absl::Status Builder::AddBatchNorm(const OnnxNode& node) {
  const auto input = ValueOf(node, 0);
  if (!input || node.outputs.size() != 1 || node.Integer("training_mode", 0) != 0) return Unread(node, "is trained");
  const auto channels = static_cast<size_t>(ExtentOf(*input).channels);
  const OnnxTensor* parts[4];
  for (size_t i = 0; i < 4; ++i) {
    parts[i] = ConstantOf(node, i + 1);
    if (parts[i] == nullptr || parts[i]->floats.size() != channels)
      return Unread(node, "has no constant for each channel");
  }
  Step step{Step::Kind::kScaleShift, {*input}};
  std::vector<float> scale, shift;
  const double epsilon = static_cast<double>(node.Number("epsilon", 1e-5f));
  for (size_t c = 0; c < channels; ++c) {
    const double factor =
        static_cast<double>(parts[0]->floats[c]) / std::sqrt(static_cast<double>(parts[3]->floats[c]) + epsilon);
    scale.push_back(static_cast<float>(factor));
    shift.push_back(static_cast<float>(static_cast<double>(parts[1]->floats[c]) -
                                       static_cast<double>(parts[2]->floats[c]) * factor));
  }
  step.weights = Weights::Of(std::move(scale));
  step.bias = Weights::Of(std::move(shift));
  const Extent extent = ExtentOf(*input);
  LIKENESS_RETURN_IF_ERROR(Emit(node, std::move(step), extent));
  if (vectors_.contains(*input)) vectors_.insert(network_.steps.back().output);
  return absl::OkStatus();
}

// x + c, x - c, c - x, x * c, x / c for a constant that is one number, or one for each channel.
absl::Status Builder::AddWithConstant(const OnnxNode& node, int value, const OnnxTensor& constant,
                                      bool constant_first) {
  const Extent extent = ExtentOf(value);
  if (constant.whole || (node.op == "Div" && constant_first))
    return Unread(node, "has a constant that is not supported");
  const bool vector = vectors_.contains(value);
  bool fits = constant.size() == 1 && constant.shape.size() <= (vector ? 2u : 4u);
  if (!fits && constant.size() == static_cast<size_t>(extent.channels)) {
    // Broadcast from the right: [C,1,1], [1,C,1,1] of images, [C], [1,C] of vectors.
    const auto& shape = constant.shape;
    const size_t behind = vector ? 0 : 2;
    fits =
        shape.size() >= behind + 1 && shape.size() <= behind + 2 && shape[shape.size() - behind - 1] == extent.channels;
  }
  if (!fits) return Unread(node, "has a constant that is neither one number nor one for each channel");
  const auto parameters = [&](float c) -> std::pair<float, float> {
    if (node.op == "Add") return {1, c};
    if (node.op == "Sub") return constant_first ? std::pair(-1.f, c) : std::pair(1.f, -c);
    if (node.op == "Mul") return {c, 0};
    return {1 / c, 0};
  };
  Step step{Step::Kind::kActivate, {value}};
  if (constant.size() == 1) {
    const auto [scale, shift] = parameters(constant.floats[0]);
    step.activation = {Activation::Kind::kLinear, scale, shift};
  } else {
    step.kind = Step::Kind::kScaleShift;
    std::vector<float> scales, shifts;
    for (size_t i = 0; i < constant.size(); ++i) {
      const auto [scale, shift] = parameters(constant.floats[i]);
      scales.push_back(scale);
      shifts.push_back(shift);
    }
    step.weights = Weights::Of(std::move(scales));
    step.bias = Weights::Of(std::move(shifts));
  }
  LIKENESS_RETURN_IF_ERROR(Emit(node, std::move(step), extent));
  if (vector) vectors_.insert(network_.steps.back().output);
  return absl::OkStatus();
}

absl::Status Builder::AddArithmetic(const OnnxNode& node) {
  auto a = ValueOf(node, 0), b = ValueOf(node, 1);
  if (node.inputs.size() != 2 && !(node.op == "Sum" && node.inputs.size() == 2))
    return Unread(node, "has not two inputs");
  for (const std::string_view input : node.inputs) {
    if (flat_.contains(input)) return Unread(node, "takes a flattened image");
  }
  if (a && b) {
    Extent x = ExtentOf(*a), y = ExtentOf(*b);
    const bool sum = node.op == "Add" || node.op == "Sum";
    if (!sum && node.op != "Mul") return Unread(node, "has no constant");
    if (vectors_.contains(*a) != vectors_.contains(*b))
      return Unread(node, "broadcasts in a way that is not supported");
    if (!sum && x.area() == 1 && y.area() != 1) {
      std::swap(a, b);
      std::swap(x, y);
    }
    if (x != y && (sum || y != Extent{x.channels, 1, 1}))
      return Unread(node, "broadcasts in a way that is not supported");
    LIKENESS_RETURN_IF_ERROR(Emit(node, Step{sum ? Step::Kind::kAdd : Step::Kind::kMultiply, {*a, *b}}, x));
    if (vectors_.contains(*a)) vectors_.insert(network_.steps.back().output);
    return absl::OkStatus();
  }
  const OnnxTensor* constant = ConstantOf(node, a ? 1 : 0);
  if ((!a && !b) || constant == nullptr) return Unread(node, "has inputs that are not known");
  return AddWithConstant(node, a ? *a : *b, *constant, !a);
}

// [N,C,H,W] to [N,C*H*W]: a view, which a Dense takes as it is; what else uses it gets a step of its own.
absl::Status Builder::AddFlatten(const OnnxNode& node) {
  const auto input = ValueOf(node, 0);
  if (!input) return Unread(node, "has an input that is not known");
  const Extent from = ExtentOf(*input);
  bool flattens = false, keeps = false;
  if (node.op == "Flatten") {
    flattens = node.Integer("axis", 1) == 1;
  } else {
    const bool vector = vectors_.contains(*input) || flat_.contains(node.inputs[0]);
    const std::vector<int64_t> shape =
        vector ? std::vector<int64_t>{1, from.size()} : std::vector<int64_t>{1, from.channels, from.height, from.width};
    const auto to = constants_.ReshapedTo(node, shape, opset_);
    if (!to) return Unread(node, "has a shape that is not known");
    flattens = *to == std::vector<int64_t>{1, from.size()};
    keeps = *to == shape;
  }
  if (!flattens && !keeps) return Unread(node, "gives a shape that is not supported");
  if (const auto pads = padded_.find(node.inputs[0]); pads != padded_.end()) return Unread(node, "takes padding");
  values_.insert_or_assign(node.outputs[0], *input);
  if (flattens && !vectors_.contains(*input)) flat_.insert(node.outputs[0]);
  return absl::OkStatus();
}

absl::Status Builder::AddPad(const OnnxNode& node) {
  const auto input = ValueOf(node, 0);
  const OnnxTensor* given = ConstantOf(node, 1);
  const auto pads = given != nullptr ? given->integers : node.Integers("pads", {});
  const OnnxTensor* value = ConstantOf(node, 2);
  const bool zero = (node.inputs.size() < 3 || node.inputs[2].empty() ||
                     (value != nullptr && value->floats.size() == 1 && value->floats[0] == 0)) &&
                    node.Number("value", 0) == 0;
  if (!input || padded_.contains(node.inputs[0]) || flat_.contains(node.inputs[0]) || vectors_.contains(*input) ||
      pads.size() != 8 || node.Text("mode", "constant") != "constant" || !zero || node.inputs.size() > 3 ||
      std::ranges::any_of(pads, [](int64_t pad) { return pad < 0 || pad > 65536; }) ||
      pads[0] + pads[1] + pads[4] + pads[5] != 0) {
    return Unread(node, "does not put zeros around images");
  }
  values_.insert_or_assign(node.outputs[0], *input);
  padded_.insert_or_assign(node.outputs[0], Pads{{pads[2], pads[3]}, {pads[6], pads[7]}});
  return absl::OkStatus();
}

absl::Status Builder::AddMean(const OnnxNode& node) {
  const auto input = ValueOf(node, 0);
  const OnnxTensor* given = ConstantOf(node, 1);
  auto axes = given != nullptr ? given->integers : node.Integers("axes", {});
  for (int64_t& axis : axes) axis = axis < 0 ? axis + 4 : axis;
  std::ranges::sort(axes);
  if (!input || vectors_.contains(*input) || flat_.contains(node.inputs[0]) || axes != std::vector<int64_t>{2, 3}) {
    return Unread(node, "is not over height and width");
  }
  const bool keeps = node.Integer("keepdims", 1) != 0;
  LIKENESS_RETURN_IF_ERROR(Emit(node, Step{Step::Kind::kGlobalAverage, {*input}}, {ExtentOf(*input).channels, 1, 1}));
  if (!keeps) vectors_.insert(network_.steps.back().output);
  return absl::OkStatus();
}

absl::Status Builder::AddActivation(const OnnxNode& node, std::optional<Activation> activation) {
  const auto input = ValueOf(node, 0);
  if (!input || !activation) return Unread(node, "has parameters that are not supported");
  Step step{Step::Kind::kActivate, {*input}};
  step.activation = *activation;
  const Extent extent = ExtentOf(*input);
  const bool flat = flat_.contains(node.inputs[0]), vector = vectors_.contains(*input);
  LIKENESS_RETURN_IF_ERROR(Emit(node, std::move(step), extent));
  if (flat) flat_.insert(node.outputs[0]);
  if (vector) vectors_.insert(network_.steps.back().output);
  return absl::OkStatus();
}

absl::Status Builder::AddClip(const OnnxNode& node) {
  float bounds[2] = {node.Number("min", std::numeric_limits<float>::lowest()),
                     node.Number("max", std::numeric_limits<float>::max())};
  for (size_t i = 0; i < 2; ++i) {
    if (node.inputs.size() <= i + 1 || node.inputs[i + 1].empty()) continue;
    const OnnxTensor* bound = ConstantOf(node, i + 1);
    if (bound == nullptr || bound->floats.size() != 1) return AddActivation(node, std::nullopt);
    bounds[i] = bound->floats[0];
  }
  if (bounds[0] == 0 && bounds[1] >= std::numeric_limits<float>::max()) {
    return AddActivation(node, Activation{Activation::Kind::kRelu});
  }
  return AddActivation(node, Activation{Activation::Kind::kClip, bounds[0], bounds[1]});
}

absl::Status Builder::AddConcatenation(const OnnxNode& node) {
  const int64_t axis = node.Integer("axis", 1);
  Step step{Step::Kind::kConcatenate};
  Extent extent;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const auto input = ValueOf(node, i);
    if (!input || flat_.contains(node.inputs[i]) || (axis != 1 && (axis != -3 || vectors_.contains(*input)))) {
      return Unread(node, "does not join channels");
    }
    const Extent& part = ExtentOf(*input);
    if (i == 0) extent = {0, part.height, part.width};
    if (part.height != extent.height || part.width != extent.width ||
        (i > 0 && vectors_.contains(*input) != vectors_.contains(step.inputs[0]))) {
      return Unread(node, "joins images of different sizes");
    }
    extent.channels += part.channels;
    step.inputs.push_back(*input);
  }
  if (step.inputs.empty()) return Unread(node, "joins nothing");
  const bool vector = vectors_.contains(step.inputs[0]);
  LIKENESS_RETURN_IF_ERROR(Emit(node, std::move(step), extent));
  if (vector) vectors_.insert(network_.steps.back().output);
  return absl::OkStatus();
}

absl::Status Builder::Add(const OnnxNode& node) {
  using Kind = Activation::Kind;
  const std::string_view op = node.op;
  if (node.outputs.empty() || node.outputs[0].empty()) return Unread(node, "has no output");
  for (const std::string_view name : node.outputs) {
    if (values_.contains(name) || constants_.Find(name) != nullptr) return Unread(node, "gives what there is already");
  }
  if (!node.domain.empty() && node.domain != "ai.onnx") return Unread(node, "is not a standard one");
  const auto shape_of = [&](std::string_view name) -> std::optional<std::vector<int64_t>> {
    const auto found = values_.find(name);
    if (found == values_.end() || padded_.contains(name)) return std::nullopt;
    const Extent& extent = ExtentOf(found->second);
    if (vectors_.contains(found->second) || flat_.contains(name)) return std::vector<int64_t>{1, extent.size()};
    return std::vector<int64_t>{1, extent.channels, extent.height, extent.width};
  };
  if (constants_.Evaluate(node, shape_of)) return absl::OkStatus();
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    // Only these take padding that stands by itself.
    if (padded_.contains(node.inputs[i]) && op != "Conv" && op != "MaxPool" && op != "AveragePool") {
      return Unread(node, "comes after a padding of its own");
    }
  }
  if (op == "Conv") return AddConvolution(node);
  if (op == "Gemm" || op == "MatMul") return AddDense(node);
  if (op == "MaxPool" || op == "AveragePool" || op == "GlobalAveragePool") return AddPool(node);
  if (op == "BatchNormalization") return AddBatchNorm(node);
  if (op == "Add" || op == "Sum" || op == "Mul" || op == "Sub" || op == "Div") return AddArithmetic(node);
  if (op == "Flatten" || op == "Reshape" || op == "Squeeze" || op == "Unsqueeze") return AddFlatten(node);
  if (op == "Pad") return AddPad(node);
  if (op == "ReduceMean") return AddMean(node);
  if (op == "Clip") return AddClip(node);
  if (op == "Concat") return AddConcatenation(node);
  if (op == "Relu") return AddActivation(node, Activation{Kind::kRelu});
  if (op == "LeakyRelu") return AddActivation(node, Activation{Kind::kRelu, node.Number("alpha", 0.01f)});
  if (op == "Sigmoid") return AddActivation(node, Activation{Kind::kSigmoid});
  if (op == "Tanh") return AddActivation(node, Activation{Kind::kTanh});
  if (op == "HardSwish") return AddActivation(node, Activation{Kind::kHardSwish});
  if (op == "HardSigmoid") {
    return AddActivation(node, Activation{Kind::kHardSigmoid, node.Number("alpha", 0.2f), node.Number("beta", 0.5f)});
  }
  const auto input = ValueOf(node, 0);
  if (!input) return Unread(node, "is not supported, or its input is not known");
  const Extent extent = ExtentOf(*input);
  if (op == "Identity" || op == "Dropout") {
    // A mask, where one is asked for, is all ones, and nobody but a trainer reads it.
    values_.insert_or_assign(node.outputs[0], *input);
    if (flat_.contains(node.inputs[0])) flat_.insert(node.outputs[0]);
    return absl::OkStatus();
  }
  if (op == "LRN" && !vectors_.contains(*input) && !flat_.contains(node.inputs[0])) {
    Step step{Step::Kind::kNormalize, {*input}};
    step.window = node.Integer("size", 0);
    step.scale = node.Number("alpha", 1e-4f);
    step.power = node.Number("beta", 0.75f);
    step.shift = node.Number("bias", 1);
    if (step.window < 1 || step.window > 4096 || step.window % 2 == 0) return Unread(node, "has an even window");
    return Emit(node, std::move(step), extent);
  }
  const bool vector = vectors_.contains(*input) || (flat_.contains(node.inputs[0]) && extent.area() == 1);
  if (op == "Softmax" && vector) {
    const int64_t axis = node.Integer("axis", opset_ < 13 ? 1 : -1);
    if (axis != 1 && axis != -1) return Unread(node, "is over the batch");
    LIKENESS_RETURN_IF_ERROR(Emit(node, Step{Step::Kind::kSoftmax, {*input}}, extent));
    vectors_.insert(network_.steps.back().output);
    return absl::OkStatus();
  }
  return Unread(node, "is not supported");
}

absl::StatusOr<Network> Builder::Finish(std::span<const std::string> outputs) {
  for (const std::string& name : outputs) {
    const auto found = values_.find(name);
    if (found == values_.end() || padded_.contains(name)) {
      return absl::UnimplementedError("\"" + name + "\" is not a value that this executor computes");
    }
    int value = found->second;
    if (flat_.contains(name) && ExtentOf(value).area() > 1) {
      Step step{Step::Kind::kFlatten, {value}};
      step.output = value = static_cast<int>(network_.values.size());
      network_.values.push_back({ExtentOf(step.inputs[0]).size(), 1, 1});
      network_.steps.push_back(std::move(step));
    }
    network_.outputs.push_back(value);
  }
  return std::move(network_);
}

}  // namespace

absl::StatusOr<Network> BuildNetwork(const OnnxFile& file, std::span<const std::string> outputs, const Extent& input) {
  if (file.inputs.size() != 1) return absl::UnimplementedError("the model has not one input");
  const OnnxValueInfo& info = file.inputs[0];
  const std::vector<int64_t> wanted = {1, input.channels, input.height, input.width};
  bool fits = info.shape.size() == 4 && info.element == onnx_field::kFloat;
  for (size_t i = 0; fits && i < 4; ++i)
    fits = info.shape[i] < 0 || info.shape[i] == wanted[i] || (i == 0 && info.shape[i] == 0);
  if (!fits) return absl::UnimplementedError("the model's input has a shape or type that is not supported");
  // Only what leads to the outputs; walking backwards meets every reader of a tensor before its maker.
  std::set<std::string_view> wanted_tensors(outputs.begin(), outputs.end());
  std::vector<const OnnxNode*> nodes;
  for (auto node = file.nodes.rbegin(); node != file.nodes.rend(); ++node) {
    if (std::ranges::none_of(node->outputs, [&](auto name) { return wanted_tensors.contains(name); })) continue;
    wanted_tensors.insert(node->inputs.begin(), node->inputs.end());
    nodes.push_back(&*node);
  }
  Builder builder(file, input);
  for (const OnnxNode* node : std::views::reverse(nodes)) LIKENESS_RETURN_IF_ERROR(builder.Add(*node));
  return builder.Finish(outputs);
}

}  // namespace likeness
