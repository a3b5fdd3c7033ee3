// Pictures to vectors, whichever way: a network, or the color histogram that any network must beat.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "feature/deep.h"
#include "image/decode_size.h"
#include "image/pixels.h"
#include "infer/model_library.h"
#include "types/feature_key.h"

namespace likeness {

// Constant after construction; any thread.
class PictureEncoder {
 public:
  virtual ~PictureEncoder() = default;
  virtual const FeatureKey& key() const = 0;
  virtual size_t dimension() const = 0;
  virtual size_t batch() const = 0;            // pictures that one Encode handles best
  virtual DecodeSize decode_size() const = 0;  // what DecodeImage should be asked for
  // One vector a picture, one after another. REQUIRES: vectors.size() == pictures.size() * dimension()
  // Errors: those of DeepExtractor::Extract.
  virtual absl::Status Encode(std::span<const Pixels> pictures, std::span<float> vectors) const = 0;
};

std::unique_ptr<PictureEncoder> MakeDeepEncoder(std::unique_ptr<DeepExtractor> extractor);

// The trivial baseline: the picture stretched to 128 x 128, its pixels counted in 8 x 8 x 8 equal bins of hue,
// saturation and value (A. R. Smith, "Color Gamut Transform Pairs", 1978), and the square root of each bin's share
// taken, so that the cosine of two vectors is the Bhattacharyya coefficient of two histograms. Key: "color.hsv/...".
std::unique_ptr<PictureEncoder> MakeHsvHistogram();
inline constexpr size_t kHsvBins = 512;

// The bin of one color: hue * 64 + saturation * 8 + value, each 0..7; grey has hue 0.
size_t HsvBin(uint8_t red, uint8_t green, uint8_t blue);

}  // namespace likeness
