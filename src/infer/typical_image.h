// A picture of nothing: noise that is as rough at each scale as photographs are. What a network makes of it says how
// large its activations usually are.
#pragma once

#include <cstdint>
#include <vector>

#include "infer/model_card.h"

namespace likeness {

// f32[3, height, width], as the network takes it; the same on every machine. Another seed is another such image.
// Any thread; takes milliseconds.
std::vector<float> TypicalImage(const ModelInput& input, uint64_t seed = 1);

}  // namespace likeness
