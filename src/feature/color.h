// The colors of what a picture shows: the salient region's pixels, gathered around a few centers in L*a*b*, each with
// the share of the region that it has (paper, section 2.1). All functions: any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "feature/color_lab.h"
#include "feature/extractor.h"
#include "feature/salient_region.h"
#include "image/pixels.h"
#include "types/feature_key.h"

namespace likeness {

struct SalientColor {
  Lab lab;
  float weight = 0;  // in (0, 1]
};

// 1 to kMostColors colors, the largest weight first; the weights add up to 1.
using ColorSignature = std::vector<SalientColor>;
inline constexpr size_t kMostColors = 8;

// REQUIRES: `small` is not empty and `region` was found on it
ColorSignature ComputeColorSignature(const LabPicture& small, const SalientRegion& region);

// Of a picture decoded to the standard size. REQUIRES: pixels are not empty
ColorSignature ComputeColorSignature(const Pixels& pixels);

// A stored value (docs/formats/color.md): rows of four f16, L, a, b, weight. Weights are brought to a sum of 1 again.
// Nothing unless it is 1 to kMostColors rows of finite numbers with weights above 0.
std::optional<ColorSignature> ParseColorValue(std::span<const std::byte> bytes);

// "color/VERSION".
FeatureKey ColorFeatureKey();

// Values are f16, ragged, [1..kMostColors, 4]. Every picture has one.
std::unique_ptr<Extractor> MakeColorExtractor();

}  // namespace likeness
