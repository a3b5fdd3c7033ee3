// ONNX files written by us: networks with seeded weights, for tests, benchmarks and rehearsals of an import.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/random.h"

namespace likeness {

// Builds a graph node by node; each call returns the name of the tensor that it makes, which is the name it is given.
// Weights are uniform random numbers scaled for ReLU (K. He et al., ICCV 2015), each filter's with a mean of 0, so that
// activations neither grow nor fade and different images keep different vectors. Calls must be well formed: the file is
// not checked.
class OnnxWriter {
 public:
  using Attribute = std::variant<int64_t, float, std::string, std::vector<int64_t>>;
  using Attributes = std::initializer_list<std::pair<std::string_view, Attribute>>;
  static constexpr int64_t kOpset = 13;

  explicit OnnxWriter(uint64_t seed) : random_(seed) {}

  // f32[N, channels, height, width]; one image only when `fixed_batch` is 1, any number when it is 0.
  std::string Input(const std::string& name, int64_t channels, int64_t height, int64_t width, int64_t fixed_batch = 0);

  std::string Node(std::string_view op, const std::vector<std::string>& inputs, const std::string& output,
                   Attributes attributes = {});

  struct ConvolutionShape {
    int64_t in = 1, out = 1, kernel = 1, stride = 1, pad = 0, groups = 1;
    bool biased = true;
    float gain = 1;  // beyond He's
  };
  std::string Convolution(const std::string& input, const std::string& output, const ConvolutionShape& shape);
  // Gemm with f32[out, in] and a bias.
  std::string Dense(const std::string& input, const std::string& output, int64_t in, int64_t out);
  // With statistics that differ from channel to channel.
  std::string BatchNorm(const std::string& input, const std::string& output, int64_t channels);

  std::string Constant(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values);
  std::string Constant(const std::string& name, const std::vector<int64_t>& values);

  // The file, with these declared outputs.
  std::string Finish(const std::vector<std::string>& outputs);

 private:
  std::vector<float> Filters(int64_t count, int64_t fan_in, float gain);
  std::vector<float> Between(int64_t count, float low, float high);

  Random random_;
  std::string nodes_, constants_, inputs_;
};

}  // namespace likeness
