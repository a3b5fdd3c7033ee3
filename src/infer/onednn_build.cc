// How each step of a network becomes oneDNN primitives, or loops of our own, and which layout its values have.
#include <algorithm>
#include <optional>
#include <string>

#include "infer/dense.h"
#include "infer/depthwise.h"
#include "infer/onednn_plan.h"
#include "infer/share_work.h"
#include "infer/tile_choice.h"

namespace likeness {

using dnnl::algorithm;
using dnnl::memory;
using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

class PlanBuilder {
 public:
  PlanBuilder(Plan& plan, const Network& network, int64_t images, bool bf16, const Centers& centers, WeightStore& store)
      : plan_(plan), network_(network), n_(images), bf16_(bf16), centers_(centers), store_(store) {
    tensors_.resize(network.values.size());
    last_read_.resize(network.values.size(), 0);
    wants_float_.resize(network.values.size(), true);
    for (size_t i = 0; i < network.steps.size(); ++i) {
      const Step& step = network.steps[i];
      for (const int input : step.inputs) {
        last_read_[At(input)] = i;
        if (step.kind != Step::Kind::kSoftmax) wants_float_[At(input)] = false;
      }
      if (step.residual >= 0) {
        last_read_[At(step.residual)] = i;
        wants_float_[At(step.residual)] = false;
      }
    }
    for (const int output : network.outputs) {
      last_read_[At(output)] = SIZE_MAX;
      wants_float_[At(output)] = true;
    }
    // The first layer sees the finest differences, and the channels that it makes of them are the fewest: where the
    // next step can read them so, they stay f32. (EfficientNet-Lite1 lost three times as much here as in all other
    // layers.)
    for (size_t i = 0; i + 1 < network.steps.size(); ++i) {
      const Step &step = network.steps[i], &next = network.steps[i + 1];
      if (step.kind == Step::Kind::kConvolution && step.inputs[0] == network.input && next.inputs[0] == step.output &&
          last_read_[At(step.output)] == i + 1 && IsOurDepthwise(next)) {
        wants_float_[At(step.output)] = true;
      }
    }
    tensors_[At(network.input)].push_back({Plan::kImages, Plain(network.input, Type::f32, Tag::nchw)});
  }

  void Build() {
    for (at_ = 0; at_ < network_.steps.size(); ++at_) {
      if (at_ != pooled_) Add(network_.steps[at_]);
    }
    for (const int output : network_.outputs) AddOutput(output);
    plan_.PlaceBuffers();
  }

 private:
  struct Tensor {
    int buffer;
    Desc layout;  // of four axes
  };

  static size_t At(int value) { return static_cast<size_t>(value); }
  const Extent& ExtentOf(int value) const { return network_.values[At(value)]; }
  memory::dims DimsOf(int value) const {
    const Extent& e = ExtentOf(value);
    return {n_, e.channels, e.height, e.width};
  }
  Desc Plain(int value, Type type, Tag tag) const { return Desc(DimsOf(value), type, tag); }
  // Channels last, where convolutions in bf16 are quickest; f32 ones choose.
  Tag Preferred() const { return bf16_ ? Tag::nhwc : Tag::any; }
  Type Inner() const { return bf16_ ? Type::bf16 : Type::f32; }
  Type TypeOf(int value) const { return wants_float_[At(value)] ? Type::f32 : Inner(); }
  bool ReadLastHere(int value) const { return last_read_[At(value)] == at_; }

  int NewBuffer(size_t bytes) {
    plan_.buffers_.push_back({.bytes = (bytes + 63) / 64 * 64});
    return static_cast<int>(plan_.buffers_.size()) - 1;
  }
  void Touch(int buffer) {
    if (buffer < 0) return;
    auto& used = plan_.buffers_[At(buffer)];
    used.first = std::min(used.first, plan_.stages_.size());
    used.last = std::max(used.last, plan_.stages_.size());
  }

  void AddPrimitive(const std::string& name, dnnl::primitive primitive, std::vector<Plan::Argument> arguments,
                    const Desc& scratch) {
    if (scratch.get_size() > 0) {
      plan_.scratch_bytes_ = std::max(plan_.scratch_bytes_, scratch.get_size());
      arguments.push_back({DNNL_ARG_SCRATCHPAD, scratch, Plan::kScratch, {}});
    }
    for (const auto& argument : arguments) Touch(argument.buffer);
    plan_.names_.push_back(name);
    plan_.stages_.push_back({std::move(primitive), std::move(arguments), nullptr});
  }
  void AddOwn(const std::string& name, std::initializer_list<int> buffers, std::function<void(PlanState&)> own) {
    for (const int buffer : buffers) Touch(buffer);
    plan_.names_.push_back(name);
    plan_.stages_.push_back({{}, {}, std::move(own)});
  }

  void Define(int value, int buffer, const Desc& layout) { tensors_[At(value)] = {{buffer, layout}}; }
  const Tensor& Of(int value) const { return tensors_[At(value)].front(); }

  // The layout of our own loops that a descriptor is; nothing for others.
  static std::optional<ImageLayout> LayoutOf(const Desc& desc) {
    const auto dims = desc.dims();
    const auto type = static_cast<Type>(desc.data.data_type);
    ImageLayout layout;
    layout.images = At(dims[0]);
    layout.channels = At(dims[1]);
    layout.area = At(dims[2] * dims[3]);
    layout.bf16 = type == Type::bf16;
    for (const auto& [tag, block] : {std::pair(Tag::nhwc, layout.channels), std::pair(Tag::nChw16c, size_t{16}),
                                     std::pair(Tag::nChw8c, size_t{8}), std::pair(Tag::nchw, size_t{1})}) {
      layout.block = block;
      if (desc == Desc(dims, type, tag)) return layout;
    }
    return std::nullopt;
  }
  static size_t At(int64_t value) { return static_cast<size_t>(value); }

  // The value in one of the layouts of our own loops.
  std::pair<Tensor, ImageLayout> Ours(int value) {
    if (const auto layout = LayoutOf(Of(value).layout); layout && Of(value).buffer >= 0) return {Of(value), *layout};
    const Tensor tensor = As(value, Plain(value, Inner(), Tag::nhwc));
    return {tensor, *LayoutOf(tensor.layout)};
  }

  // The value in the layout asked for.
  Tensor As(int value, const Desc& wanted) {
    for (const Tensor& tensor : tensors_[At(value)]) {
      if (tensor.layout == wanted) return tensor;
    }
    const Tensor made{NewBuffer(wanted.get_size()), wanted};
    if (const auto layout = LayoutOf(wanted); layout && Of(value).buffer == Plan::kImages) {
      AddOwn("pack", {made.buffer}, [plan = &plan_, buffer = made.buffer, layout = *layout](PlanState& state) {
        PackImages(state.images, plan->At(state, buffer), layout);
      });
    } else {
      Reorder(Of(value), made);
    }
    tensors_[At(value)].push_back(made);
    return made;
  }

  void Reorder(const Tensor& from, const Tensor& to) {
    const dnnl::reorder::primitive_desc pd(plan_.engine_, from.layout, plan_.engine_, to.layout, Attributes());
    AddPrimitive("reorder", dnnl::reorder(pd),
                 {{DNNL_ARG_FROM, from.layout, from.buffer, {}}, {DNNL_ARG_TO, to.layout, to.buffer, {}}},
                 pd.scratchpad_desc());
  }

  static dnnl::primitive_attr Attributes() {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attributes;
  }

  // One entry, or two for a hard sigmoid.
  static std::vector<std::tuple<algorithm, float, float>> Curves(const Activation& activation) {
    using Kind = Activation::Kind;
    const float a = activation.alpha, b = activation.beta;
    switch (activation.kind) {
      case Kind::kNone:
        return {};
      case Kind::kRelu:
        return {{algorithm::eltwise_relu, a, 0.f}};
      case Kind::kClip:
        return {{algorithm::eltwise_clip, a, b}};
      case Kind::kSigmoid:
        return {{algorithm::eltwise_logistic, 0.f, 0.f}};
      case Kind::kSwish:
        return {{algorithm::eltwise_swish, 1.f, 0.f}};
      case Kind::kHardSigmoid:
        return {{algorithm::eltwise_linear, a, b}, {algorithm::eltwise_clip, 0.f, 1.f}};
      case Kind::kHardSwish:
        return {{algorithm::eltwise_hardswish, 0.f, 0.f}};
      case Kind::kLinear:
        return {{algorithm::eltwise_linear, a, b}};
      case Kind::kTanh:
        return {{algorithm::eltwise_tanh, 0.f, 0.f}};
    }
    return {};
  }

  static dnnl::primitive_attr AttributesFor(bool sum, const Activation& activation) {
    dnnl::primitive_attr attributes = Attributes();
    dnnl::post_ops after;
    if (sum) after.append_sum(1);
    for (const auto& [curve, a, b] : Curves(activation)) after.append_eltwise(1, curve, a, b);
    attributes.set_post_ops(after);
    return attributes;
  }

  void Add(const Step& step) {
    using Kind = Step::Kind;
    switch (step.kind) {
      case Kind::kConvolution:
      case Kind::kScaleShift:
        return AddConvolution(step);
      case Kind::kDense:
        return AddDense(step);
      case Kind::kMaxPool:
      case Kind::kAveragePool:
        return AddPool(step);
      case Kind::kGlobalAverage:
        return AddAverage(step);
      case Kind::kNormalize:
        return AddNormalize(step);
      case Kind::kConcatenate:
        return AddConcatenate(step);
      case Kind::kActivate:
        return AddActivate(step.inputs[0], step.output, step.activation);
      case Kind::kAdd:
        return AddBinary(step, algorithm::binary_add);
      case Kind::kMultiply:
        return AddMultiply(step);
      case Kind::kFlatten:
        return AddFlatten(step);
      case Kind::kSoftmax:
        return AddSoftmax(step);
    }
  }

  static std::string Size(const Extent& e) {
    return std::to_string(e.channels) + "x" + std::to_string(e.height) + "x" + std::to_string(e.width);
  }

  Plan::Argument Constant(int name, int role, const Weights& weights, const Desc& given, const Desc& wanted) {
    return {name, wanted, Plan::kConstant, store_.Get(at_, role, given, weights.values.data(), wanted, plan_.engine_)};
  }

  // Convolutions of each channel by itself that our own loop does.
  bool IsOurDepthwise(const Step& step) const {
    const bool each = step.kind == Step::Kind::kScaleShift ||
                      (step.kind == Step::Kind::kConvolution && step.groups == ExtentOf(step.inputs[0]).channels &&
                       step.groups == ExtentOf(step.output).channels && step.dilation == Pair{1, 1});
    return bf16_ && each && step.residual < 0 && step.kernel[0] <= 64 && DepthwiseCan(step.activation);
  }

  DepthwiseShape ShapeOf(const Step& step, bool bf16) const {
    const Extent &in = ExtentOf(step.inputs[0]), &out = ExtentOf(step.output);
    return {.images = At(n_),
            .channels = At(in.channels),
            .height = At(in.height),
            .width = At(in.width),
            .out_height = At(out.height),
            .out_width = At(out.width),
            .kernel_height = At(step.kernel[0]),
            .kernel_width = At(step.kernel[1]),
            .stride_height = At(step.stride[0]),
            .stride_width = At(step.stride[1]),
            .top = At(step.before[0]),
            .left = At(step.before[1]),
            .activation = step.activation,
            .bf16 = bf16};
  }

  void AddDepthwise(const Step& step) {
    const int input = step.inputs[0];
    const Extent &in = ExtentOf(input), &out = ExtentOf(step.output);
    const Type type = TypeOf(input);
    const Tensor from = As(input, Plain(input, type, Tag::nhwc));
    const Tensor to{NewBuffer(Plain(step.output, Type::bf16, Tag::nhwc).get_size()),
                    Plain(step.output, Type::bf16, Tag::nhwc)};
    const DepthwiseShape shape = ShapeOf(step, type == Type::bf16);
    const int scratch = NewBuffer(shape.scratch() * sizeof(float));
    AddOwn("depthwise " + Size(in) + " to " + Size(out) + " kernel " + std::to_string(step.kernel[0]),
           {from.buffer, to.buffer, scratch},
           [plan = &plan_, source = from.buffer, buffer = to.buffer, scratch, shape,
            weights = store_.GetDepthwise(at_, step, shape.padded())](PlanState& state) {
             const float* bias = weights->data() + weights->size() - shape.padded();
             Depthwise(shape, plan->At(state, source), weights->data(), bias,
                       reinterpret_cast<float*>(plan->At(state, scratch)),
                       reinterpret_cast<uint16_t*>(plan->At(state, buffer)));
           });
    Define(step.output, to.buffer, to.layout);
  }

  void AddConvolution(const Step& step) {
    if (IsOurDepthwise(step)) return AddDepthwise(step);
    if (bf16_ && TilesOf(network_, at_)) return AddTileConvolution(step);
    const int input = step.inputs[0];
    const Extent &in = ExtentOf(input), &out = ExtentOf(step.output);
    const int64_t groups = step.kind == Step::Kind::kScaleShift ? in.channels : step.groups;
    memory::dims weights = {out.channels, in.channels / groups, step.kernel[0], step.kernel[1]};
    if (groups > 1) weights = {groups, out.channels / groups, in.channels / groups, step.kernel[0], step.kernel[1]};
    const Desc given(weights, Type::f32, groups > 1 ? Tag::goihw : Tag::oihw);
    const Desc bias({out.channels}, Type::f32, Tag::a);
    const bool biased = !step.bias.values.empty();
    const auto attributes = AttributesFor(step.residual >= 0, step.activation);
    const auto make = [&](const Desc& from, const Desc& to, algorithm how) {
      const Desc any(weights, Inner(), Tag::any);
      const memory::dims dilation = {step.dilation[0] - 1, step.dilation[1] - 1};
      const memory::dims stride = {step.stride[0], step.stride[1]}, before = {step.before[0], step.before[1]},
                         after = {step.after[0], step.after[1]};
      using Forward = dnnl::convolution_forward;
      const auto kind = dnnl::prop_kind::forward_inference;
      return biased ? Forward::primitive_desc(
                          Forward::desc(kind, how, from, any, bias, to, stride, dilation, before, after), attributes,
                          plan_.engine_)
                    : Forward::primitive_desc(Forward::desc(kind, how, from, any, to, stride, dilation, before, after),
                                              attributes, plan_.engine_);
    };
    const auto direct = [&](Tag tag) {
      return make(Plain(input, Inner(), tag), Plain(step.output, TypeOf(step.output), tag),
                  algorithm::convolution_direct);
    };
    dnnl::convolution_forward::primitive_desc pd;
    // In f32 multiplying is what takes the time, and Winograd's way multiplies a quarter as often. oneDNN has it for
    // AVX-512, we for AVX2.
    if (const auto shape = WinogradOf(step)) return AddWinograd(step, *shape);
    if (!bf16_ && groups == 1 && step.kernel == Pair{3, 3} && step.stride == Pair{1, 1} &&
        step.dilation == Pair{1, 1}) {
      try {
        pd = make(Plain(input, Type::f32, Tag::any), Plain(step.output, Type::f32, Tag::any),
                  algorithm::convolution_winograd);
      } catch (const dnnl::error&) {
        pd = {};
      }
    }
    const Tag tag = Preferred();
    if (!pd) pd = direct(tag);
    if (std::string_view(pd.impl_info_str()).find("ref") != std::string_view::npos && tag != Tag::any) {
      pd = direct(Tag::any);
    }
    const Tensor from = As(input, pd.src_desc());
    Tensor to{-1, pd.dst_desc()};
    if (step.residual >= 0 && ReadLastHere(step.residual) && Of(step.residual).layout == to.layout &&
        Of(step.residual).buffer >= 0 && step.residual != input) {
      to.buffer = Of(step.residual).buffer;  // the sum is made in place
    } else {
      to.buffer = NewBuffer(to.layout.get_size());
      if (step.residual >= 0) Reorder(Of(step.residual), to);
    }
    std::vector<Plan::Argument> arguments = {{DNNL_ARG_SRC, from.layout, from.buffer, {}},
                                             {DNNL_ARG_DST, to.layout, to.buffer, {}},
                                             Constant(DNNL_ARG_WEIGHTS, 0, step.weights, given, pd.weights_desc())};
    if (biased) arguments.push_back(Constant(DNNL_ARG_BIAS, 1, step.bias, bias, bias));
    AddPrimitive("convolution " + Size(in) + " to " + Size(out) + " kernel " + std::to_string(step.kernel[0]) +
                     (groups > 1 ? " groups " + std::to_string(groups) : "") + " " + pd.impl_info_str(),
                 dnnl::convolution_forward(pd), std::move(arguments), pd.scratchpad_desc());
    Define(step.output, to.buffer, to.layout);
  }

  // The convolution in our own Winograd's way, where it may and pays; nothing elsewhere.
  std::optional<WinogradShape> WinogradOf(const Step& step) const {
    const auto isa = dnnl::get_effective_cpu_isa();
    const Extent &in = ExtentOf(step.inputs[0]), &out = ExtentOf(step.output);
    if (bf16_ || (isa != dnnl::cpu_isa::avx2 && isa != dnnl::cpu_isa::avx2_vnni) ||
        step.kind != Step::Kind::kConvolution || step.groups != 1 || step.residual >= 0 || step.kernel != Pair{3, 3} ||
        step.stride != Pair{1, 1} || step.dilation != Pair{1, 1} || in.channels % 8 != 0 || out.channels % 16 != 0 ||
        in.channels < 32 || out.channels < 32 || !TileConvolutionCan(step.activation)) {
      return std::nullopt;
    }
    return WinogradShape{.images = At(n_),
                         .channels = At(in.channels),
                         .height = At(in.height),
                         .width = At(in.width),
                         .outputs = At(out.channels),
                         .out_height = At(out.height),
                         .out_width = At(out.width),
                         .top = At(step.before[0]),
                         .left = At(step.before[1]),
                         .activation = step.activation,
                         .threads = WorkThreads()};
  }

  void AddWinograd(const Step& step, const WinogradShape& shape) {
    const int input = step.inputs[0];
    const Tensor from = As(input, Plain(input, Type::f32, Tag::nChw8c));
    const Desc layout = Plain(step.output, Type::f32, Tag::nChw8c);
    const int buffer = NewBuffer(layout.get_size()), scratch = NewBuffer(shape.scratch() * sizeof(float));
    AddOwn("convolution " + Size(ExtentOf(input)) + " to " + Size(ExtentOf(step.output)) + " kernel 3 winograd",
           {from.buffer, scratch, buffer},
           [plan = &plan_, source = from.buffer, buffer, scratch, shape, weights = store_.GetWinograd(at_, step, shape),
            added = BiasOf(step)](PlanState& state) {
             Winograd(shape, reinterpret_cast<const float*>(plan->At(state, source)), weights, added,
                      reinterpret_cast<float*>(plan->At(state, scratch)),
                      reinterpret_cast<float*>(plan->At(state, buffer)));
           });
    Define(step.output, buffer, layout);
  }

  void AddTileConvolution(const Step& step) {
    TileConvolutionShape shape = *TilesOf(network_, at_);
    shape.images = At(n_);
    shape.bf16 = TypeOf(step.output) == Type::bf16;
    shape.pool = shape.bf16 && PoolsNext(network_, at_);
    shape.threads = WorkThreads();
    const int input = step.inputs[0], output = shape.pool ? network_.steps[at_ + 1].output : step.output;
    const Tensor from = As(input, Plain(input, shape.patches() ? Type::f32 : Type::bf16, Tag::nhwc));
    const Desc layout = Plain(output, shape.bf16 ? Type::bf16 : Type::f32, Tag::nhwc);
    const int buffer = NewBuffer(layout.get_size()), scratch = NewBuffer(shape.scratch());
    AddOwn(
        "convolution " + Size(ExtentOf(input)) + " to " + Size(ExtentOf(step.output)) + " kernel " +
            std::to_string(step.kernel[0]) + (shape.pool ? " tiles, pool" : " tiles"),
        {from.buffer, scratch, buffer},
        [plan = &plan_, source = from.buffer, buffer, scratch, shape,
         weights = store_.GetTiles(at_, step, shape, CenterOf(input)),
         values = store_.GetTileValues(at_, step, shape.outputs, CenterOf(input), CenterOf(output))](PlanState& state) {
          TileConvolution(shape, plan->At(state, source), weights, values, plan->At(state, scratch),
                          plan->At(state, buffer));
        });
    if (shape.pool) pooled_ = at_ + 1;
    Define(output, buffer, layout);
  }

  const Center* CenterOf(int value) const {
    const auto found = centers_.find(value);
    return found == centers_.end() ? nullptr : &found->second;
  }

  // f32[outputs], or null.
  const float* BiasOf(const Step& step) {
    if (step.bias.values.empty()) return nullptr;
    const Desc flat({ExtentOf(step.output).channels}, Type::f32, Tag::a);
    return static_cast<const float*>(
        store_.Get(at_, 1, flat, step.bias.values.data(), flat, plan_.engine_).get_data_handle());
  }

  // Dense layers multiply vectors. An image becomes one as it lies, channels last, and the weights are brought into the
  // same order.
  void AddDense(const Step& step) {
    const int input = step.inputs[0];
    const Extent& in = ExtentOf(input);
    const int64_t outputs = ExtentOf(step.output).channels;
    memory::dims strides = {in.size(), in.area(), in.width, 1};
    if (step.transposed) {
      for (int64_t& stride : strides) stride *= outputs;
      strides[0] = 1;
    }
    const Desc given({outputs, in.channels, in.height, in.width}, Type::f32, strides);
    const Desc bias({outputs}, Type::f32, Tag::a), to({n_, outputs}, TypeOf(step.output), Tag::nc);
    const bool biased = !step.bias.values.empty();
    if (IsByteDense(step)) return AddByteDense(step);
    if (IsOurDense(step)) return AddOurDense(step, given);
    const auto make = [&](const Desc& weights) {
      using Forward = dnnl::inner_product_forward;
      const auto kind = dnnl::prop_kind::forward_inference;
      const auto attributes = AttributesFor(false, step.activation);
      const Desc from({n_, in.size()}, Inner(), Tag::nc);
      return biased ? Forward::primitive_desc(Forward::desc(kind, from, weights, bias, to), attributes, plan_.engine_)
                    : Forward::primitive_desc(Forward::desc(kind, from, weights, to), attributes, plan_.engine_);
    };
    auto pd = make(Desc({outputs, in.size()}, Inner(), Tag::any));
    if (const memory* there = store_.Find(at_, 0); there != nullptr && there->get_desc() != pd.weights_desc()) {
      try {
        pd = make(there->get_desc());  // large weights are not kept twice for the sake of another batch
      } catch (const dnnl::error&) {
      }
    }
    const Tensor source = As(input, Plain(input, Inner(), Tag::nhwc));
    const int buffer = NewBuffer(to.get_size());
    std::vector<Plan::Argument> arguments = {
        {DNNL_ARG_SRC, pd.src_desc(), source.buffer, {}},
        {DNNL_ARG_DST, to, buffer, {}},
        {DNNL_ARG_WEIGHTS, pd.weights_desc(), Plan::kConstant,
         store_.GetDense(at_, given, step.weights.values.data(), pd.weights_desc(), plan_.engine_)}};
    if (biased) arguments.push_back(Constant(DNNL_ARG_BIAS, 1, step.bias, bias, bias));
    AddPrimitive("dense " + Size(in) + " to " + std::to_string(outputs) + " " + pd.impl_info_str(),
                 dnnl::inner_product_forward(pd), std::move(arguments), pd.scratchpad_desc());
    Define(step.output, buffer, to.reshape({n_, outputs, 1, 1}));
  }

  // Matrices so large that reading them is what takes the time, however few or many the images.
  bool IsByteDense(const Step& step) const {
    const int64_t inputs = ExtentOf(step.inputs[0]).size(), outputs = ExtentOf(step.output).channels;
    return bf16_ && At(n_) <= ByteDenseShape::kMostVectors && inputs * outputs >= int64_t{8} << 20 &&
           At(inputs) % ByteDenseShape::kRun == 0 && outputs % 16 == 0;
  }

  void AddByteDense(const Step& step) {
    const int input = step.inputs[0];
    const Extent& in = ExtentOf(input);
    const int64_t outputs = ExtentOf(step.output).channels;
    const Tensor from = As(input, Plain(input, Type::bf16, Tag::nhwc));
    const Desc layout = Plain(step.output, TypeOf(step.output), Tag::nhwc);
    const ByteDenseShape shape{.vectors = At(n_),
                               .inputs = At(in.size()),
                               .outputs = At(outputs),
                               .activation = step.activation,
                               .bf16 = TypeOf(step.output) == Type::bf16,
                               .threads = WorkThreads()};
    const int buffer = NewBuffer(layout.get_size()), scratch = NewBuffer(shape.scratch());
    AddOwn("dense " + Size(in) + " to " + std::to_string(outputs) + " bytes", {from.buffer, scratch, buffer},
           [plan = &plan_, source = from.buffer, buffer, scratch, shape,
            matrix = store_.GetBytes(at_, step, in, At(outputs)), added = BiasOf(step)](PlanState& state) {
             ByteDense(shape, reinterpret_cast<const uint16_t*>(plan->At(state, source)), *matrix, added,
                       plan->At(state, scratch), plan->At(state, buffer));
           });
    Define(step.output, buffer, layout);
  }

  Desc OurMatrix(const Step& step) const {
    return Desc({ExtentOf(step.output).channels, ExtentOf(step.inputs[0]).size()}, Type::bf16, Tag::AB16b64a2b);
  }
  // One or two images are bound by reading the matrix, more by multiplying, which AMX does better. Only where the
  // matrix has the same layout for both: it may be large.
  bool IsOurDense(const Step& step) const {
    if (!bf16_ || n_ > 2 || ExtentOf(step.inputs[0]).size() % 32 != 0 || ExtentOf(step.output).channels % 64 != 0) {
      return false;
    }
    const memory* there = store_.Find(at_, 0);
    return there == nullptr || there->get_desc() == OurMatrix(step);
  }

  void AddOurDense(const Step& step, const Desc& given) {
    const int input = step.inputs[0];
    const int64_t inputs = ExtentOf(input).size(), outputs = ExtentOf(step.output).channels;
    const Tensor from = As(input, Plain(input, Type::bf16, Tag::nhwc));
    const Desc layout = Plain(step.output, TypeOf(step.output), Tag::nhwc);
    const int buffer = NewBuffer(layout.get_size());
    const DenseShape shape{.vectors = At(n_),
                           .inputs = At(inputs),
                           .outputs = At(outputs),
                           .activation = step.activation,
                           .bf16 = TypeOf(step.output) == Type::bf16};
    const int sums = NewBuffer(shape.vectors * shape.outputs * sizeof(float));
    const memory matrix = store_.GetDense(at_, given, step.weights.values.data(), OurMatrix(step), plan_.engine_);
    const Desc flat({outputs}, Type::f32, Tag::a);
    std::optional<memory> bias;
    if (!step.bias.values.empty()) bias = store_.Get(at_, 1, flat, step.bias.values.data(), flat, plan_.engine_);
    AddOwn("dense " + Size(ExtentOf(input)) + " to " + std::to_string(outputs), {from.buffer, sums, buffer},
           [plan = &plan_, source = from.buffer, buffer, sums, shape,
            weights = static_cast<const uint16_t*>(matrix.get_data_handle()),
            added = bias ? static_cast<const float*>(bias->get_data_handle()) : nullptr](PlanState& state) {
             Dense(shape, reinterpret_cast<const uint16_t*>(plan->At(state, source)), weights, added,
                   reinterpret_cast<float*>(plan->At(state, sums)), plan->At(state, buffer));
           });
    Define(step.output, buffer, layout);
  }

  void AddPool(const Step& step) {
    const Tensor from = Of(step.inputs[0]).buffer == Plan::kImages
                            ? As(step.inputs[0], Plain(step.inputs[0], Inner(), Tag::nhwc))
                            : Of(step.inputs[0]);
    const auto type = static_cast<Type>(from.layout.data.data_type);
    if (step.kind == Step::Kind::kMaxPool && bf16_ && from.layout == Plain(step.inputs[0], Type::bf16, Tag::nhwc)) {
      const Desc layout = Plain(step.output, Type::bf16, Tag::nhwc);
      const int buffer = NewBuffer(layout.get_size());
      AddOwn("pool", {from.buffer, buffer},
             [plan = &plan_, source = from.buffer, buffer, shape = ShapeOf(step, true)](PlanState& state) {
               MaxPoolChannelsLast(shape, reinterpret_cast<const uint16_t*>(plan->At(state, source)),
                                   reinterpret_cast<uint16_t*>(plan->At(state, buffer)));
             });
      return Define(step.output, buffer, layout);
    }
    const auto kind = step.kind == Step::Kind::kMaxPool ? algorithm::pooling_max
                      : step.counts_padding             ? algorithm::pooling_avg_include_padding
                                                        : algorithm::pooling_avg_exclude_padding;
    using Forward = dnnl::pooling_forward;
    const Forward::primitive_desc pd(
        Forward::desc(dnnl::prop_kind::forward_inference, kind, from.layout, Plain(step.output, type, Tag::any),
                      {step.stride[0], step.stride[1]}, {step.kernel[0], step.kernel[1]},
                      {step.before[0], step.before[1]}, {step.after[0], step.after[1]}),
        Attributes(), plan_.engine_);
    const int buffer = NewBuffer(pd.dst_desc().get_size());
    AddPrimitive(std::string("pool ") + pd.impl_info_str(), Forward(pd),
                 {{DNNL_ARG_SRC, from.layout, from.buffer, {}}, {DNNL_ARG_DST, pd.dst_desc(), buffer, {}}},
                 pd.scratchpad_desc());
    Define(step.output, buffer, pd.dst_desc());
  }

  void AddAverage(const Step& step) {
    const auto [from, layout] = Ours(step.inputs[0]);
    const Desc to = Plain(step.output, TypeOf(step.output), Tag::nhwc);
    const int buffer = NewBuffer(to.get_size());
    const bool narrow = TypeOf(step.output) == Type::bf16;
    AddOwn("average", {from.buffer, buffer},
           [plan = &plan_, source = from.buffer, buffer, layout = layout, narrow](PlanState& state) {
             AverageArea(plan->At(state, source), layout, plan->At(state, buffer), narrow);
           });
    Define(step.output, buffer, to);
  }

  void AddNormalize(const Step& step) {
    const auto [from, layout] = Ours(step.inputs[0]);
    const int buffer = NewBuffer(from.layout.get_size());
    if (layout.bf16 && layout.block == layout.channels && step.power == 0.75f && step.shift > 0 && step.scale >= 0) {
      const size_t half = At(step.window / 2), floats = NormalizeScratch(layout.channels, half);
      const int scratch = NewBuffer(floats * sizeof(float));
      AddOwn("normalize", {from.buffer, buffer, scratch},
             [plan = &plan_, source = from.buffer, buffer, scratch, floats, half, layout = layout,
              &step](PlanState& state) {
               auto* squares = reinterpret_cast<float*>(plan->At(state, scratch));
               std::fill_n(squares, floats, 0.f);
               NormalizePixels(reinterpret_cast<const uint16_t*>(plan->At(state, source)), layout.images * layout.area,
                               layout.channels, half, step.shift, step.scale / static_cast<float>(step.window), squares,
                               reinterpret_cast<uint16_t*>(plan->At(state, buffer)));
             });
      return Define(step.output, buffer, from.layout);
    }
    AddOwn("normalize", {from.buffer, buffer},
           [plan = &plan_, source = from.buffer, buffer, layout = layout, &step](PlanState& state) {
             NormalizeChannels(plan->At(state, source), layout, step, plan->At(state, buffer));
           });
    Define(step.output, buffer, from.layout);
  }

  void AddConcatenate(const Step& step) {
    const Desc to = Plain(step.output, Inner(), Tag::nhwc);
    std::vector<Tensor> parts;
    bool last = true;
    for (const int input : step.inputs) last &= Of(input).layout == Plain(input, Inner(), Tag::nhwc);
    for (const int input : step.inputs) {
      // All channels last, or all as the first lies.
      const auto block = last ? std::nullopt : LayoutOf(Of(step.inputs[0]).layout);
      const Tag tag = block && block->block == 16 ? Tag::nChw16c : block && block->block == 8 ? Tag::nChw8c : Tag::nhwc;
      parts.push_back(As(input, Plain(input, Inner(), tag)));
    }
    if (parts[0].layout == Plain(step.inputs[0], Inner(), Tag::nhwc)) {
      const int buffer = NewBuffer(to.get_size());
      std::vector<std::pair<int, size_t>> sources;
      Touch(buffer);
      for (size_t i = 0; i < parts.size(); ++i) {
        Touch(parts[i].buffer);
        sources.emplace_back(parts[i].buffer, At(ExtentOf(step.inputs[i]).channels));
      }
      const size_t pixels = At(n_ * ExtentOf(step.output).area()), element = bf16_ ? 2 : 4;
      AddOwn("concatenate", {}, [plan = &plan_, sources, pixels, element, buffer](PlanState& state) {
        std::vector<ChannelPart> joined;
        for (const auto& [source, channels] : sources) joined.push_back({plan->At(state, source), channels});
        JoinChannels(joined, pixels, element, plan->At(state, buffer));
      });
      return Define(step.output, buffer, to);
    }
    std::vector<Desc> layouts;
    for (const Tensor& part : parts) layouts.push_back(part.layout);
    const dnnl::concat::primitive_desc pd(1, layouts, plan_.engine_, Attributes());
    const int buffer = NewBuffer(pd.dst_desc().get_size());
    std::vector<Plan::Argument> arguments = {{DNNL_ARG_DST, pd.dst_desc(), buffer, {}}};
    for (size_t i = 0; i < parts.size(); ++i) {
      arguments.push_back({DNNL_ARG_MULTIPLE_SRC + static_cast<int>(i), parts[i].layout, parts[i].buffer, {}});
    }
    AddPrimitive("concatenate", dnnl::concat(pd), std::move(arguments), pd.scratchpad_desc());
    Define(step.output, buffer, pd.dst_desc());
  }

  void AddActivate(int input, int output, const Activation& activation) {
    Tensor from = Of(input).buffer == Plan::kImages ? As(input, Plain(input, Inner(), Tag::nhwc)) : Of(input);
    const bool in_place = input == output || ReadLastHere(input);
    const Tensor to{in_place ? from.buffer : NewBuffer(from.layout.get_size()), from.layout};
    for (const auto& [curve, a, b] : Curves(activation)) {
      using Forward = dnnl::eltwise_forward;
      const Forward::primitive_desc pd(Forward::desc(dnnl::prop_kind::forward_inference, curve, from.layout, a, b),
                                       Attributes(), plan_.engine_);
      AddPrimitive("activate", Forward(pd),
                   {{DNNL_ARG_SRC, from.layout, from.buffer, {}}, {DNNL_ARG_DST, to.layout, to.buffer, {}}},
                   pd.scratchpad_desc());
      from = to;
    }
    Define(output, to.buffer, to.layout);
  }

  void AddBinary(const Step& step, algorithm kind) {
    const Tensor a = Ours(step.inputs[0]).first;
    const Tensor b = As(step.inputs[1], a.layout);
    const int buffer = NewBuffer(a.layout.get_size());
    const dnnl::binary::primitive_desc pd(dnnl::binary::desc(kind, a.layout, b.layout, a.layout),
                                          AttributesFor(false, step.activation), plan_.engine_);
    AddPrimitive("combine", dnnl::binary(pd),
                 {{DNNL_ARG_SRC_0, a.layout, a.buffer, {}},
                  {DNNL_ARG_SRC_1, b.layout, b.buffer, {}},
                  {DNNL_ARG_DST, a.layout, buffer, {}}},
                 pd.scratchpad_desc());
    Define(step.output, buffer, a.layout);
  }

  void AddMultiply(const Step& step) {
    if (ExtentOf(step.inputs[0]) == ExtentOf(step.inputs[1])) return AddBinary(step, algorithm::binary_mul);
    const auto [from, layout] = Ours(step.inputs[0]);
    const auto type = static_cast<Type>(from.layout.data.data_type);
    const Tensor factors = As(step.inputs[1], Plain(step.inputs[1], type, Tag::nhwc));
    const int buffer = ReadLastHere(step.inputs[0]) ? from.buffer : NewBuffer(from.layout.get_size());
    AddOwn("scale", {from.buffer, factors.buffer, buffer},
           [plan = &plan_, source = from.buffer, second = factors.buffer, buffer, layout = layout](PlanState& state) {
             ScaleChannels(plan->At(state, source), plan->At(state, second), layout, plan->At(state, buffer));
           });
    Define(step.output, buffer, from.layout);
    if (step.activation.kind != Activation::Kind::kNone) AddActivate(step.output, step.output, step.activation);
  }

  void AddFlatten(const Step& step) {
    const Extent& in = ExtentOf(step.inputs[0]);
    const Tensor from = Of(step.inputs[0]);
    const Desc layout = Plain(step.inputs[0], static_cast<Type>(from.layout.data.data_type), Tag::nchw);
    const Tensor to{NewBuffer(layout.get_size()), layout};
    Reorder(from, to);
    Define(step.output, to.buffer, Desc({n_, in.size(), 1, 1}, static_cast<Type>(layout.data.data_type), Tag::nhwc));
  }

  void AddSoftmax(const Step& step) {
    const Tensor from = As(step.inputs[0], Plain(step.inputs[0], Type::f32, Tag::nhwc));
    const Tensor to{NewBuffer(from.layout.get_size()), from.layout};
    const size_t rows = At(n_), columns = At(ExtentOf(step.output).channels);
    AddOwn("softmax", {from.buffer, to.buffer},
           [plan = &plan_, source = from.buffer, target = to.buffer, rows, columns](PlanState& state) {
             auto* values = reinterpret_cast<float*>(plan->At(state, target));
             std::copy_n(reinterpret_cast<const float*>(plan->At(state, source)), rows * columns, values);
             SoftmaxRows(values, rows, columns);
           });
    Define(step.output, to.buffer, to.layout);
  }

  // f32[images, channels], averaged over the area.
  void AddOutput(int value) {
    Tensor tensor = Of(value);
    std::pair<int, ImageLayout> averaged = {-1, {}};
    if (ExtentOf(value).area() == 1) {
      tensor = As(value, Plain(value, Type::f32, Tag::nhwc));
    } else {
      const auto [from, layout] = Ours(value);
      tensor.buffer = NewBuffer(layout.images * layout.channels * sizeof(float));
      AddOwn("average", {from.buffer, tensor.buffer},
             [plan = &plan_, source = from.buffer, buffer = tensor.buffer, layout = layout](PlanState& state) {
               AverageArea(plan->At(state, source), layout, plan->At(state, buffer), false);
             });
      averaged = {from.buffer, layout};
      kept_.push_back(from.buffer);
    }
    plan_.sources_.push_back(averaged);
    plan_.outputs_.push_back(tensor.buffer);
    kept_.push_back(tensor.buffer);
    for (const int kept : kept_) plan_.buffers_[At(kept)].last = SIZE_MAX;  // read after the last stage
  }

  Plan& plan_;
  const Network& network_;
  const int64_t n_;
  const bool bf16_;
  const Centers& centers_;
  WeightStore& store_;
  std::vector<std::vector<Tensor>> tensors_;  // of each value: as it was made, then other layouts of it
  std::vector<size_t> last_read_;             // the last step that reads a value
  std::vector<bool> wants_float_;             // nobody reads it but a softmax and the user
  std::vector<int> kept_;                     // buffers of outputs, and of what they are averages of
  size_t at_ = 0;                             // the step at hand
  size_t pooled_ = SIZE_MAX;                  // a step that the one before it does as well
};

Plan::Plan(const Network& network, const dnnl::engine& engine, int64_t images, bool bf16, const Centers& centers,
           WeightStore& store)
    : engine_(engine) {
  PlanBuilder(*this, network, images, bf16, centers, store).Build();
}

}  // namespace likeness
