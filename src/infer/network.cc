#include "infer/network.h"

#include <algorithm>
#include <cmath>

namespace likeness {

float Activation::operator()(float x) const {
  switch (kind) {
    case Kind::kNone:
      return x;
    case Kind::kRelu:
      return x < 0 ? alpha * x : x;
    case Kind::kClip:
      return std::min(std::max(x, alpha), beta);
    case Kind::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case Kind::kSwish:
      return x / (1 + std::exp(-x));
    case Kind::kHardSigmoid:
      return std::clamp(alpha * x + beta, 0.f, 1.f);
    case Kind::kHardSwish:
      return x * std::clamp(x / 6 + 0.5f, 0.f, 1.f);
    case Kind::kLinear:
      return alpha * x + beta;
    case Kind::kTanh:
      return std::tanh(x);
  }
  return x;
}

Weights Weights::Of(std::vector<float> floats) {
  Weights weights;
  weights.owned = std::make_shared<std::vector<float>>(std::move(floats));
  weights.values = FloatView(*weights.owned);
  return weights;
}

std::vector<float> Weights::Copy() const {
  std::vector<float> floats(values.size());
  if (!floats.empty()) std::memcpy(floats.data(), values.data(), floats.size() * sizeof(float));
  return floats;
}

}  // namespace likeness
