#include "feature/deep.h"

#include <algorithm>
#include <cmath>

namespace likeness {
namespace {

// Raised whenever this code would give other values for the same picture.
constexpr int kRevision = 3;

constexpr float kLargestHalf = 65504;  // of IEEE 754 binary16

constexpr std::pair<std::string_view, Fit> kFits[] = {
    {"crop", Fit::kCrop}, {"pad", Fit::kPad}, {"mild", Fit::kMild}, {"stretch", Fit::kStretch}};

Fit FitOf(const ModelCard& card) {
  const auto found = std::ranges::find(kFits, card.input.fit, &std::pair<std::string_view, Fit>::first);
  return found == std::end(kFits) ? Fit::kCrop : found->second;
}

std::string FitName(Fit fit) {
  return std::string(std::ranges::find(kFits, fit, &std::pair<std::string_view, Fit>::second)->first);
}

// The part of the region that lies in the picture; nothing when none does.
std::optional<Region> Clip(const Region& region, const Pixels& pixels) {
  const int64_t left = std::max<int64_t>(region.x, 0), top = std::max<int64_t>(region.y, 0);
  const int64_t right = std::min<int64_t>(int64_t{region.x} + region.width, pixels.full_width);
  const int64_t bottom = std::min<int64_t>(int64_t{region.y} + region.height, pixels.full_height);
  if (left >= right || top >= bottom) return std::nullopt;
  return Region{static_cast<int32_t>(left), static_cast<int32_t>(top), static_cast<int32_t>(right - left),
                static_cast<int32_t>(bottom - top)};
}

// "fc6+fc8" as a list.
std::vector<std::string> LayersOf(const std::string& layer) {
  std::vector<std::string> layers;
  for (size_t begin = 0; begin < layer.size();) {
    const size_t end = std::min(layer.find('+', begin), layer.size());
    layers.push_back(layer.substr(begin, end - begin));
    begin = end + 1;
  }
  return layers;
}

// Each layer's part of a vector to length 1; zeros stay zeros.
void NormaliseParts(std::span<const size_t> sizes, std::span<float> vector) {
  for (const size_t size : sizes) {
    const std::span<float> part = vector.first(size);
    vector = vector.subspan(size);
    double squares = 0;
    for (const float value : part) squares += double{value} * value;
    if (squares == 0) continue;
    const auto scale = static_cast<float>(1 / std::sqrt(squares));
    for (float& value : part) value *= scale;
  }
}

}  // namespace

FeatureKey DeepFeatureKey(const ModelCard& card, const DeepOptions& options) {
  ModelCard used = card;
  used.input.fit = FitName(options.fit.value_or(FitOf(card)));
  const std::vector<std::string> layers = LayersOf(options.layer);
  std::string description =
      CanonicalModelDescription(used, layers.empty() ? std::string() : layers.front(), options.precision);
  for (size_t i = 1; i < layers.size(); ++i) description += "and=" + card.TensorOf(layers[i]) + "\n";
  return FeatureKey::Of("deep." + card.name,
                        description + "precision=f16\nrevision=" + std::to_string(kRevision) + "\n");
}

absl::StatusOr<std::unique_ptr<DeepExtractor>> DeepExtractor::Create(const ModelFiles& model,
                                                                     const DeepOptions& options) {
  ModelOptions model_options;
  model_options.threads = options.threads;
  model_options.executor = options.executor;
  model_options.precision = options.precision;
  model_options.layers = LayersOf(options.layer);
  LIKENESS_ASSIGN_OR_RETURN(auto loaded, LoadModel(model.weights_path, model.card, model_options));
  return std::make_unique<DeepExtractor>(model.card, std::move(loaded), options);
}

DeepExtractor::DeepExtractor(const ModelCard& card, std::unique_ptr<Model> model, const DeepOptions& options)
    : input_(card.input),
      fit_(options.fit.value_or(FitOf(card))),
      model_(std::move(model)),
      key_(DeepFeatureKey(card, options)) {
  LIKENESS_CHECK(model_->input_size() == size_t{3} * input_.width * input_.height);
}

DecodeSize DeepExtractor::decode_size() const { return StandardSizeFor(std::max(input_.width, input_.height)); }

DecodeSize DeepExtractor::decode_size(uint32_t full_width, uint32_t full_height, const Region& region) const {
  const int32_t side = std::min(region.width, region.height);
  if (side <= 0) return kFullSize;
  const uint64_t full = std::min(full_width, full_height);
  const uint64_t wanted =
      (full * std::max(input_.width, input_.height) + static_cast<uint64_t>(side) - 1) / static_cast<uint64_t>(side);
  return wanted >= full ? kFullSize : DecodeSize{static_cast<uint32_t>(wanted), 0};
}

void DeepExtractor::Prepare(const Pixels& pixels, const std::optional<Region>& region, std::span<float> tensor) const {
  LIKENESS_CHECK(tensor.size() == tensor_size());
  ResampleOptions options;
  options.width = input_.width;
  options.height = input_.height;
  options.fit = fit_;
  const TensorOptions layout{input_.layout == "NCHW", input_.channel_order == "BGR", input_.mean, input_.scale};
  const auto clipped = region ? Clip(*region, pixels) : std::nullopt;
  LIKENESS_CHECK(ResampleToTensor(pixels, clipped, options, layout, tensor).ok());  // pixels are there, the region fits
}

absl::Status DeepExtractor::Extract(std::span<const float> tensors, size_t count, std::span<float> vectors) const {
  LIKENESS_RETURN_IF_ERROR(model_->Run(tensors, count, vectors));
  if (const std::vector<size_t> sizes = model_->layer_sizes(); sizes.size() > 1) {
    for (size_t i = 0; i < count; ++i) NormaliseParts(sizes, vectors.subspan(i * dimension(), dimension()));
  }
  for (float& value : vectors) {
    if (std::isnan(value)) return absl::InternalError("the model gave a value that is not a number");
    value = std::clamp(value, -kLargestHalf, kLargestHalf);
  }
  return absl::OkStatus();
}

}  // namespace likeness
