#include <algorithm>
#include <cmath>
#include <optional>

#include "infer/network.h"

namespace likeness {
namespace {

using Kind = Step::Kind;
using Curve = Activation::Kind;

// One rewriting of a network at a time: each rule looks at one step and those that make its inputs.
class Fuser {
 public:
  explicit Fuser(Network& network) : network_(network) {}

  void Run() {
    DropUnused();
    for (bool changed = true; changed;) {
      changed = false;
      Count();
      for (size_t at = 0; at < network_.steps.size() && !changed; ++at) changed = Rewrite(at);
      if (changed) DropUnused();
    }
  }

 private:
  void Count() {
    uses_.assign(network_.values.size(), 0);
    maker_.assign(network_.values.size(), std::nullopt);
    for (size_t i = 0; i < network_.steps.size(); ++i) {
      const Step& step = network_.steps[i];
      for (const int input : step.inputs) ++uses_[static_cast<size_t>(input)];
      if (step.residual >= 0) ++uses_[static_cast<size_t>(step.residual)];
      maker_[static_cast<size_t>(step.output)] = i;
    }
    for (const int output : network_.outputs) ++uses_[static_cast<size_t>(output)];
  }

  void DropUnused() {
    for (bool dropped = true; dropped;) {
      Count();
      const auto unused = [&](const Step& step) { return uses_[static_cast<size_t>(step.output)] == 0; };
      dropped = std::erase_if(network_.steps, unused) > 0;
    }
  }

  Step* MakerOf(int value) {
    const auto at = maker_[static_cast<size_t>(value)];
    return at ? &network_.steps[*at] : nullptr;
  }
  // The step that makes `value` for one reader alone.
  Step* OnlyMakerOf(int value) { return uses_[static_cast<size_t>(value)] == 1 ? MakerOf(value) : nullptr; }

  static bool IsLinear(const Step& step) {
    return step.kind == Kind::kActivate && step.activation.kind == Curve::kLinear;
  }
  static bool Near(float a, float b) { return std::abs(a - b) <= 1e-5f * std::abs(b); }

  bool Rewrite(size_t at) {
    Step& step = network_.steps[at];
    switch (step.kind) {
      case Kind::kMultiply:
        return MakeSwish(step);
      case Kind::kActivate:
        return MakeHardSigmoid(step) || MakeHardSwish(step) || FoldScale(step) || FuseActivation(step);
      case Kind::kScaleShift:
        return FoldScale(step);
      case Kind::kAdd:
        return FuseSum(step);
      default:
        return false;
    }
  }

  // x * sigmoid(x), x * hard_sigmoid(x)
  bool MakeSwish(Step& step) {
    for (const size_t side : {0u, 1u}) {
      const int x = step.inputs[side], gate = step.inputs[1 - side];
      const Step* maker = OnlyMakerOf(gate);
      if (maker == nullptr || maker->kind != Kind::kActivate || maker->inputs[0] != x) continue;
      const Activation& curve = maker->activation;
      const bool hard = curve.kind == Curve::kHardSigmoid && Near(curve.alpha, 1.f / 6) && Near(curve.beta, 0.5f);
      if (curve.kind != Curve::kSigmoid && !hard) continue;
      step.kind = Kind::kActivate;
      step.inputs = {x};
      step.activation = {hard ? Curve::kHardSwish : Curve::kSwish};
      return true;
    }
    return false;
  }

  // clip(x + c, 0, top) / top
  bool MakeHardSigmoid(Step& step) {
    if (!IsLinear(step) || step.activation.beta != 0) return false;
    const Step* clip = OnlyMakerOf(step.inputs[0]);
    if (clip == nullptr || clip->kind != Kind::kActivate || clip->activation.kind != Curve::kClip ||
        clip->activation.alpha != 0 || !Near(clip->activation.beta * step.activation.alpha, 1)) {
      return false;
    }
    const Step* shift = OnlyMakerOf(clip->inputs[0]);
    if (shift == nullptr || !IsLinear(*shift)) return false;
    const float scale = step.activation.alpha;
    step.activation = {Curve::kHardSigmoid, shift->activation.alpha * scale, shift->activation.beta * scale};
    step.inputs = {shift->inputs[0]};
    return true;
  }

  // x * clip(x + 3, 0, 6) / 6
  bool MakeHardSwish(Step& step) {
    if (!IsLinear(step) || step.activation.beta != 0 || !Near(step.activation.alpha, 1.f / 6)) return false;
    const Step* product = OnlyMakerOf(step.inputs[0]);
    if (product == nullptr || product->kind != Kind::kMultiply) return false;
    for (const size_t side : {0u, 1u}) {
      const int x = product->inputs[side];
      const Step* clip = OnlyMakerOf(product->inputs[1 - side]);
      if (clip == nullptr || clip->kind != Kind::kActivate || clip->activation.kind != Curve::kClip ||
          clip->activation.alpha != 0 || clip->activation.beta != 6) {
        continue;
      }
      const Step* shift = OnlyMakerOf(clip->inputs[0]);
      if (shift == nullptr || !IsLinear(*shift) || shift->activation.alpha != 1 || shift->activation.beta != 3 ||
          shift->inputs[0] != x) {
        continue;
      }
      step.activation = {Curve::kHardSwish};
      step.inputs = {x};
      return true;
    }
    return false;
  }

  // A scale and shift of each channel, after a step with weights.
  bool FoldScale(Step& step) {
    if (step.kind == Kind::kActivate && !IsLinear(step)) return false;
    Step* maker = OnlyMakerOf(step.inputs[0]);
    if (maker == nullptr || (maker->kind != Kind::kConvolution && maker->kind != Kind::kDense) ||
        maker->activation.kind != Curve::kNone || maker->residual >= 0) {
      return false;
    }
    const auto channels = static_cast<size_t>(network_.values[static_cast<size_t>(maker->output)].channels);
    auto weights = maker->weights.Copy(), bias = maker->bias.Copy();
    bias.resize(channels);
    const size_t inner = weights.size() / channels;
    for (size_t c = 0; c < channels; ++c) {
      const bool linear = step.kind == Kind::kActivate;
      const float scale = linear ? step.activation.alpha : step.weights.values[c];
      bias[c] = bias[c] * scale + (linear ? step.activation.beta : step.bias.values[c]);
      for (size_t i = 0; i < inner; ++i) weights[maker->transposed ? i * channels + c : c * inner + i] *= scale;
    }
    maker->weights = Weights::Of(std::move(weights));
    maker->bias = Weights::Of(std::move(bias));
    const Activation after = step.kind == Kind::kScaleShift ? step.activation : Activation{};
    Absorb(*maker, step, after);
    return true;
  }

  bool FuseActivation(Step& step) {
    Step* maker = OnlyMakerOf(step.inputs[0]);
    if (maker == nullptr || maker->activation.kind != Curve::kNone) return false;
    if (maker->kind != Kind::kConvolution && maker->kind != Kind::kDense && maker->kind != Kind::kAdd &&
        maker->kind != Kind::kScaleShift && maker->kind != Kind::kMultiply) {
      return false;
    }
    Absorb(*maker, step, step.activation);
    return true;
  }

  // The sum of two values, when the later of them comes straight from a convolution.
  bool FuseSum(Step& step) {
    for (const size_t side : {0u, 1u}) {
      const int product = step.inputs[side], other = step.inputs[1 - side];
      Step* maker = OnlyMakerOf(product);
      if (maker == nullptr || maker->kind != Kind::kConvolution || maker->activation.kind != Curve::kNone ||
          maker->residual >= 0 || product == other) {
        continue;
      }
      const Step* earlier = MakerOf(other);
      if (earlier != nullptr && earlier >= maker) continue;
      maker->residual = other;
      Absorb(*maker, step, step.activation);
      return true;
    }
    return false;
  }

  // `maker` does what `step` did and makes its output; `step` becomes unused.
  void Absorb(Step& maker, Step& step, const Activation& activation) {
    maker.activation = activation;
    maker.output = step.output;
    const auto at = network_.steps.begin() + (&step - network_.steps.data());
    network_.steps.erase(at);
  }

  Network& network_;
  std::vector<int> uses_;
  std::vector<std::optional<size_t>> maker_;
};

}  // namespace

void FuseSteps(Network& network) { Fuser(network).Run(); }

}  // namespace likeness
