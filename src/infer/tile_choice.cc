#include "infer/tile_choice.h"

#include <algorithm>

namespace likeness {
namespace {

const Extent& ExtentOf(const Network& network, int value) { return network.values[static_cast<size_t>(value)]; }

// How often a value is read, by steps and by whoever asked for it.
size_t Readers(const Network& network, int value) {
  auto readers = static_cast<size_t>(std::ranges::count(network.outputs, value));
  for (const Step& step : network.steps) {
    readers += static_cast<size_t>(std::ranges::count(step.inputs, value)) + (step.residual == value ? 1 : 0);
  }
  return readers;
}

}  // namespace

std::optional<TileConvolutionShape> TilesOf(const Network& network, size_t at) {
  const Step& step = network.steps[at];
  if (step.kind != Step::Kind::kConvolution || step.groups != 1 || step.residual >= 0 || step.dilation != Pair{1, 1} ||
      step.kernel[0] * step.kernel[1] < 4) {
    return std::nullopt;
  }
  const Extent &in = ExtentOf(network, step.inputs[0]), &out = ExtentOf(network, step.output);
  const int64_t depth = in.channels * step.kernel[0] * step.kernel[1];
  if ((in.channels % 32 != 0 && depth > 32) || out.channels % 32 != 0) return std::nullopt;
  if (!TileConvolutionCan(step.activation)) return std::nullopt;
  if (in.channels < 128 && out.area() <= 56 * 56) return std::nullopt;  // small and thin: oneDNN is quicker
  const auto size = [](int64_t number) { return static_cast<size_t>(number); };
  return TileConvolutionShape{.channels = size(in.channels),
                              .height = size(in.height),
                              .width = size(in.width),
                              .outputs = size(out.channels),
                              .out_height = size(out.height),
                              .out_width = size(out.width),
                              .kernel_height = size(step.kernel[0]),
                              .kernel_width = size(step.kernel[1]),
                              .stride_height = size(step.stride[0]),
                              .stride_width = size(step.stride[1]),
                              .top = size(step.before[0]),
                              .left = size(step.before[1]),
                              .activation = step.activation};
}

bool PoolsNext(const Network& network, size_t at) {
  if (at + 1 >= network.steps.size()) return false;
  const Step &step = network.steps[at], &next = network.steps[at + 1];
  const Extent& out = ExtentOf(network, step.output);
  constexpr Pair kHalf = {2, 2}, kNone = {0, 0};
  return next.kind == Step::Kind::kMaxPool && next.inputs[0] == step.output && Readers(network, step.output) == 1 &&
         next.kernel == kHalf && next.stride == kHalf && next.dilation == Pair{1, 1} && next.before == kNone &&
         next.after == kNone && out.height % 2 == 0 && out.width % 2 == 0 &&
         ExtentOf(network, next.output) == Extent{out.channels, out.height / 2, out.width / 2};
}

std::vector<int> CenteredValues(const Network& network) {
  std::vector<int> values;
  for (size_t at = 0; at < network.steps.size(); ++at) {
    if (!TilesOf(network, at) || network.steps[at].activation.kind != Activation::Kind::kRelu) continue;
    const int value = network.steps[PoolsNext(network, at) ? at + 1 : at].output;
    if (Readers(network, value) != 1) continue;
    for (size_t reader = at + 1; reader < network.steps.size(); ++reader) {
      if (network.steps[reader].inputs[0] != value) continue;
      const auto shape = TilesOf(network, reader);
      if (shape && !shape->patches()) values.push_back(value);
    }
  }
  return values;
}

}  // namespace likeness
