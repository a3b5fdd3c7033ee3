// A keypoint as search knows it: its visual word, what tells it from others of that word, and where it lies.
//
// What is kept of one is a row of 18 bytes, docs/formats/local.md; room `feature` computes them. All functions: any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace likeness {

// Keypoints lie in the frame: the picture scaled so that its longer side has so many pixels.
inline constexpr int kLocalFrame = 512;

// One keypoint and one of its words, with the geometry of Keypoint.
struct LocalFeature {
  uint32_t word = 0;
  uint64_t signature = 0;  // Vocabulary::Signature
  float x = 0;             // pixels of the frame of kLocalFrame; kept to 1/128
  float y = 0;
  float sigma = 0;  // pixels of the frame; kept to a sixteenth of a doubling
  float angle = 0;  // radians in [0, 2 pi); kept to 1/256 of a turn
  friend bool operator==(const LocalFeature&, const LocalFeature&) = default;
};

inline constexpr size_t kLocalRowSize = 18;  // bytes
using LocalRow = std::span<std::byte, kLocalRowSize>;
using ConstLocalRow = std::span<const std::byte, kLocalRowSize>;

// Values beyond what a row can hold are brought to its ends. Packing what was unpacked gives the same bytes.
void PackLocal(const LocalFeature& feature, LocalRow row);
LocalFeature UnpackLocal(ConstLocalRow row);

// A whole value: rows in the order of their words. Errors: DataLoss when it is no whole number of rows.
std::vector<std::byte> PackLocals(std::span<const LocalFeature> features);
absl::StatusOr<std::vector<LocalFeature>> UnpackLocals(std::span<const std::byte> value);

}  // namespace likeness
