#include "feature/deep_feature.h"

#include <cstring>
#include <utility>

#include "kernel/half.h"

namespace likeness {
namespace {

class DeepFeature final : public Extractor {
 public:
  explicit DeepFeature(std::shared_ptr<const DeepExtractor> deep) : deep_(std::move(deep)) {}

  const FeatureKey& key() const override { return deep_->key(); }
  FeatureLayout layout() const override { return {Dtype::kF16, static_cast<uint32_t>(deep_->dimension()), false}; }
  DecodeSize decode_size() const override { return deep_->decode_size(); }
  size_t batch() const override { return deep_->batch(); }

  absl::StatusOr<std::vector<FeatureValue>> Extract(std::span<const Pixels> pictures) const override {
    const size_t floats = deep_->tensor_size(), dimension = deep_->dimension();
    std::vector<float> tensors(pictures.size() * floats), vectors(pictures.size() * dimension);
    for (size_t i = 0; i < pictures.size(); ++i) {
      deep_->Prepare(pictures[i], std::nullopt, std::span(tensors).subspan(i * floats, floats));
    }
    LIKENESS_RETURN_IF_ERROR(deep_->Extract(tensors, pictures.size(), vectors));
    std::vector<uint16_t> halves(vectors.size());
    FloatToHalf(vectors, halves);
    std::vector<FeatureValue> values;
    values.reserve(pictures.size());
    for (size_t i = 0; i < pictures.size(); ++i) {
      const auto row = std::as_bytes(std::span<const uint16_t>(halves).subspan(i * dimension, dimension));
      values.emplace_back(std::vector<std::byte>(row.begin(), row.end()));
    }
    return values;
  }

 private:
  const std::shared_ptr<const DeepExtractor> deep_;
};

}  // namespace

std::unique_ptr<Extractor> MakeDeepFeature(std::shared_ptr<const DeepExtractor> deep) {
  return std::make_unique<DeepFeature>(std::move(deep));
}

}  // namespace likeness
