// The networks that visual search papers use, as ONNX files with seeded weights: what a user's own file of the same
// network would be, but for the numbers. For tests, benchmarks, and to try an import before the weights are there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "infer/model_card.h"

namespace likeness {

struct BuiltModel {
  std::string file;  // the bytes of the .onnx file
  ModelCard card;    // ready, with its checksum
};

// Names that BuildModel knows: alexnet, googlenet, vgg16; mobilenet_v2, mobilenet_v3, resnet50, squeezenet.
std::vector<std::string> BuildableModels();

// The whole network with its usual input, preprocessing and layers (of AlexNet and VGG-16: pool5, fc6, fc7, fc8; of
// GoogLeNet: pool5, classifier), weights from the seed. Takes a second for VGG-16, which has 553 MB.
// Errors: NotFound, naming those that there are.
absl::StatusOr<BuiltModel> BuildModel(std::string_view name, uint64_t seed = 1);

}  // namespace likeness
