// What must be known of a model file to use it: where it comes from, what goes in, what comes out.
//
// A card is a JSON file NAME.json with the weights NAME.onnx beside it; docs/formats/model-card.md is its grammar.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace likeness {

// The input tensor and how pixels become it: (value 0..255 - mean) * scale for each channel, in the order of the
// tensor.
struct ModelInput {
  std::string name;
  uint32_t width = 224;
  uint32_t height = 224;
  std::string channel_order = "RGB";  // or "BGR"
  std::string layout = "NCHW";        // or "NHWC"
  std::array<float, 3> mean = {0, 0, 0};
  std::array<float, 3> scale = {1, 1, 1};
  std::string fit = "crop";  // how a picture is fitted into width x height: "crop", "pad", "mild" or "stretch"
};

// How exactly a network is computed. It is part of a feature's version: see docs/executors.md.
enum class Precision {
  // Products and sums in f32. Vectors of one version have a cosine of at least .99999 with each other on all machines.
  kF32,
  // Activations and weights in bf16 where the processor multiplies such matrices in hardware, sums in f32; all in f32
  // elsewhere. A cosine of at least .999 with f32, and as much between machines.
  kBf16,
};

std::string_view PrecisionName(Precision precision);              // "f32", "bf16"
absl::StatusOr<Precision> ParsePrecision(std::string_view name);  // InvalidArgument

struct ModelCard {
  std::string name;  // lower-case letters, digits, '_' and '-'; begins with a letter
  std::string description;
  std::string licence;
  std::map<std::string, std::string> source;  // where the weights come from: package, version, address, ...
  std::string sha256;                         // of the .onnx file, 64 lower-case digits
  ModelInput input;
  std::map<std::string, std::string> layers;  // short name -> tensor name in the graph
  std::string layer;                          // the default: a key of `layers` or a tensor name
  uint32_t dimension = 0;                     // floats that the default layer gives for one image
  Precision precision = Precision::kBf16;     // unless options say otherwise
  std::string pooling;                        // of a layer of tokens [N,T,D]: "first", "mean", or empty: refused

  // The tensor that `layer` means: a key of `layers`, else the name of a tensor itself. Empty means the default layer.
  std::string TensorOf(std::string_view layer) const;
};

// Errors: NotFound, Unavailable; InvalidArgument naming the field when it is no card, or one that makes no sense.
absl::StatusOr<ModelCard> ReadModelCard(const std::filesystem::path& path);
absl::StatusOr<ModelCard> ParseModelCard(std::string_view json);

std::string ModelCardToJson(const ModelCard& card);
absl::Status WriteModelCard(const std::filesystem::path& path, const ModelCard& card);

// InvalidArgument naming the field, when a field is missing or out of range.
absl::Status ValidateModelCard(const ModelCard& card);

// Everything in the card that can change the vector of an image, in a fixed order: checksum, tensor, input, precision.
// For the version digest of a FeatureKey. Name, description, licence and source are not in it, and neither is the
// executor or the processor: what they may differ by is what the precision promises.
std::string CanonicalModelDescription(const ModelCard& card, std::string_view layer = {},
                                      std::optional<Precision> precision = {});

}  // namespace likeness
