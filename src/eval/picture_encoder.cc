#include "eval/picture_encoder.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "image/resample.h"

namespace likeness {
namespace {

constexpr uint32_t kHsvSide = 128;

class DeepEncoder : public PictureEncoder {
 public:
  explicit DeepEncoder(std::unique_ptr<DeepExtractor> extractor) : extractor_(std::move(extractor)) {}

  const FeatureKey& key() const override { return extractor_->key(); }
  size_t dimension() const override { return extractor_->dimension(); }
  size_t batch() const override { return extractor_->batch(); }
  DecodeSize decode_size() const override { return extractor_->decode_size(); }

  absl::Status Encode(std::span<const Pixels> pictures, std::span<float> vectors) const override {
    const size_t size = extractor_->tensor_size();
    std::vector<float> tensors(pictures.size() * size);
    for (size_t i = 0; i < pictures.size(); ++i) {
      extractor_->Prepare(pictures[i], std::nullopt, std::span(tensors).subspan(i * size, size));
    }
    return extractor_->Extract(tensors, pictures.size(), vectors);
  }

 private:
  std::unique_ptr<DeepExtractor> extractor_;
};

class HsvHistogram : public PictureEncoder {
 public:
  const FeatureKey& key() const override { return key_; }
  size_t dimension() const override { return kHsvBins; }
  size_t batch() const override { return 1; }
  DecodeSize decode_size() const override { return {kHsvSide, 0}; }

  absl::Status Encode(std::span<const Pixels> pictures, std::span<float> vectors) const override {
    LIKENESS_CHECK(vectors.size() == pictures.size() * kHsvBins);
    std::ranges::fill(vectors, 0.0f);
    for (size_t i = 0; i < pictures.size(); ++i) {
      ResampleOptions options;
      options.width = options.height = kHsvSide;
      options.fit = Fit::kStretch;
      LIKENESS_ASSIGN_OR_RETURN(const Pixels small, Resample(pictures[i], std::nullopt, options));
      const auto histogram = vectors.subspan(i * kHsvBins, kHsvBins);
      for (size_t p = 0; p < small.rgb.size(); p += 3) {
        ++histogram[HsvBin(small.rgb[p], small.rgb[p + 1], small.rgb[p + 2])];
      }
      for (float& bin : histogram) bin = std::sqrt(bin / (kHsvSide * kHsvSide));
    }
    return absl::OkStatus();
  }

 private:
  FeatureKey key_ = FeatureKey::Of("color.hsv", "revision 1, 8 x 8 x 8 bins, 128 x 128 stretched, square roots");
};

}  // namespace

size_t HsvBin(uint8_t red, uint8_t green, uint8_t blue) {
  const int high = std::max({red, green, blue});
  const int spread = high - std::min({red, green, blue});
  int hue = 0;  // in 1/256 of a sixth of the circle: 0..1535
  if (spread > 0) {
    if (high == red) {
      hue = (green - blue) * 256 / spread;
    } else if (high == green) {
      hue = 512 + (blue - red) * 256 / spread;
    } else {
      hue = 1024 + (red - green) * 256 / spread;
    }
    hue = (hue + 1536) % 1536;
  }
  const int saturation = high == 0 ? 0 : spread * 255 / high;
  return static_cast<size_t>(hue / 192 * 64 + saturation / 32 * 8 + high / 32);
}

std::unique_ptr<PictureEncoder> MakeDeepEncoder(std::unique_ptr<DeepExtractor> extractor) {
  return std::make_unique<DeepEncoder>(std::move(extractor));
}

std::unique_ptr<PictureEncoder> MakeHsvHistogram() { return std::make_unique<HsvHistogram>(); }

}  // namespace likeness
