// The deep feature: the activations of one layer of a network, as a vector (paper, section 3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/status.h"
#include "image/decode_size.h"
#include "image/pixels.h"
#include "image/resample.h"
#include "infer/model.h"
#include "infer/model_library.h"
#include "types/feature_key.h"
#include "types/region.h"

namespace likeness {

struct DeepOptions {
  // Empty: the card's default. Several joined by '+', like "fc6+fc8", are read from one pass; each is brought to length
  // 1, so that the cosine of two such vectors is the mean of the layers' (paper, section 3: combined scores).
  std::string layer = {};
  size_t threads = 1;                       // that one Extract may use
  std::optional<Fit> fit = {};              // overrides the card's
  std::optional<Precision> precision = {};  // overrides the card's
  Executor executor = Executor::kAuto;
};

// Type "deep.NAME" and a version over checksum, layer, preprocessing, precision (values are kept as f16) and the
// revision of this code. A layer other than the card's default changes the version, not the type. Needs no weights.
FeatureKey DeepFeatureKey(const ModelCard& card, const DeepOptions& options = {});

// Pixels to vectors, in two steps so that many pictures can be prepared at once and run as one batch:
//
//   pixels = DecodeImage(bytes, limits, extractor->decode_size());
//   extractor->Prepare(pixels, region, tensor);          // tensor: tensor_size() floats
//   extractor->Extract(tensors, count, vectors);         // vectors: count * dimension() floats
//
// Constant after construction; any thread.
class DeepExtractor {
 public:
  // Errors: those of LoadOnnxModel.
  static absl::StatusOr<std::unique_ptr<DeepExtractor>> Create(const ModelFiles& model,
                                                               const DeepOptions& options = {});

  // Around a model that is loaded already (tests pass their own). REQUIRES: model->input_size() fits the card.
  DeepExtractor(const ModelCard& card, std::unique_ptr<Model> model, const DeepOptions& options);

  // DeepFeatureKey of the card and options.
  const FeatureKey& key() const { return key_; }
  size_t dimension() const { return model_->output_size(); }
  size_t tensor_size() const { return model_->input_size(); }
  size_t batch() const { return model_->batch(); }  // see Model::batch

  // What DecodeImage should be asked for: for the whole picture, and for a region of a picture of that full size.
  DecodeSize decode_size() const;
  DecodeSize decode_size(uint32_t full_width, uint32_t full_height, const Region& region) const;

  // Crops, resizes and normalises into `tensor` (tensor_size() floats). A region is clipped to the picture, and ignored
  // when nothing is left; always finite. REQUIRES: pixels are not empty
  void Prepare(const Pixels& pixels, const std::optional<Region>& region, std::span<float> tensor) const;

  // Vectors as the network gives them, not normalised unless they are of several layers; values beyond the range of f16
  // are brought to its ends. Errors: those of Model::Run; Internal when the network gives a NaN.
  absl::Status Extract(std::span<const float> tensors, size_t count, std::span<float> vectors) const;

 private:
  ModelInput input_;
  Fit fit_;
  std::unique_ptr<Model> model_;
  FeatureKey key_;
};

}  // namespace likeness
