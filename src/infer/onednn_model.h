// A Model that runs a Network with oneDNN, and with loops of our own between its primitives.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "infer/model.h"
#include "infer/network.h"

namespace likeness {

// Whether this processor multiplies bf16 matrices in hardware (AMX) and LIKENESS_CPU is not set, which forbids it.
bool HasFastBf16();

struct OneDnnOptions {
  size_t threads = 1;  // that one Run may use
  bool bf16 = false;   // activations and weights in bf16, sums in f32. REQUIRES: HasFastBf16()
  // One image of the usual kind: in bf16 what comes of it says what to expect of activations. May be empty.
  std::vector<float> typical = {};
};

class OneDnnModel : public Model {
 public:
  struct StepTime {
    std::string step;
    double seconds;
  };
  // Run for 1, 2, 4 or 8 images at one go, with what each of its parts took.
  virtual absl::StatusOr<std::vector<StepTime>> RunTimed(std::span<const float> images, std::span<float> out) const = 0;
};

// `keep` is held for as long as the model lives: the file that the network's weights may be views of.
// Errors: Unimplemented when oneDNN cannot do a step; ResourceExhausted.
absl::StatusOr<std::unique_ptr<OneDnnModel>> MakeOneDnnModel(Network network, std::shared_ptr<const void> keep,
                                                             const OneDnnOptions& options);

}  // namespace likeness
