// A convolutional network as an executor wants it: few kinds of steps, constants folded, shapes known, neighbours
// fused. Built from an ONNX file; nothing here depends on a processor or an engine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "infer/onnx_file.h"

namespace likeness {

// What one image has of a value: channels x height x width, the ONNX order. A flat vector has height and width 1.
struct Extent {
  int64_t channels = 1, height = 1, width = 1;

  int64_t area() const { return height * width; }
  int64_t size() const { return channels * height * width; }
  bool operator==(const Extent&) const = default;
};

// A function of one number.
struct Activation {
  enum class Kind {
    kNone,
    kRelu,         // max(0, x); alpha * x below 0
    kClip,         // to [alpha, beta]
    kSigmoid,      // 1 / (1 + exp(-x))
    kSwish,        // x * sigmoid(x)
    kHardSigmoid,  // clip(alpha * x + beta, 0, 1)
    kHardSwish,    // x * clip(x / 6 + 0.5, 0, 1)
    kLinear,       // alpha * x + beta
    kTanh,
  };
  Kind kind = Kind::kNone;
  float alpha = 0, beta = 0;

  float operator()(float x) const;  // the slow truth
};

// Floats that are a view of the file, or owned once something was folded into them.
struct Weights {
  FloatView values;
  std::shared_ptr<std::vector<float>> owned;  // null, or what `values` shows and no other holds

  static Weights Of(std::vector<float> floats);
  std::vector<float> Copy() const;
};

// Height, then width.
using Pair = std::array<int64_t, 2>;

// One operation on whole images. Values are named by their place in Network::values.
struct Step {
  enum class Kind {
    kConvolution,    // weights f32[out, in / groups, kernel]
    kDense,          // weights f32[out, in], or f32[in, out] when `transposed`, over the flattened input
    kMaxPool,        //
    kAveragePool,    // padding counts as zeros when `counts_padding`, else not at all
    kGlobalAverage,  // over height and width
    kNormalize,      // local response normalisation over `window` channels
    kConcatenate,    // channels one after another
    kActivate,       //
    kAdd,            // two values of one extent
    kMultiply,       // the first by the second, which has its extent or [channels, 1, 1]
    kScaleShift,     // x * weights[channel] + bias[channel]
    kFlatten,        // [channels, height, width] to one vector in that order
    kSoftmax,        // of a vector
  };
  Kind kind;
  std::vector<int> inputs;
  int output = -1;
  Weights weights, bias;                                                                      // an empty bias is zeros
  bool transposed = false;                                                                    // of kDense
  Pair kernel = {1, 1}, stride = {1, 1}, dilation = {1, 1}, before = {0, 0}, after = {0, 0};  // padding: before, after
  int64_t groups = 1;
  bool counts_padding = false;
  int64_t window = 0;                     // of kNormalize: x / (shift + scale / window * sum of squares) ^ power
  float scale = 0, power = 0, shift = 0;  //
  int residual = -1;                      // of kConvolution: a value of the output's extent, added before `activation`
  Activation activation;                  // applied last
};

struct Network {
  std::vector<Extent> values;
  std::vector<Step> steps;  // each after those that make its inputs
  int input = 0;
  std::vector<int> outputs;  // as asked; may repeat
};

// Reads the graph from its one input to the tensors `outputs`, for images of the extent `input`. What the input of a
// graph means beyond that, [N,C,H,W] or [N,H,W,C], is the caller's: only [N,C,H,W] is read.
// Errors: Unimplemented, with the reason, for any graph that is not one of this kind (other operators, shapes that
// depend on the batch, a fixed batch above 1, ...): ONNX Runtime may run it, or say what is wrong with it.
absl::StatusOr<Network> BuildNetwork(const OnnxFile& file, std::span<const std::string> outputs, const Extent& input);

// Folds scales and shifts into weights, and activations and sums into the steps before them; drops what no output
// needs. Gives the same function. (BuildNetwork does not call it: the tests compare both.)
void FuseSteps(Network& network);

}  // namespace likeness
