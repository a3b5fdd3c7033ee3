#include "types/local_feature.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

namespace likeness {
namespace {

constexpr float kStepsAPixel = 65536.0f / kLocalFrame;
constexpr float kStepsADoubling = 16;
constexpr float kLowestLog = -4;  // of sigma, to base 2
constexpr float kStepsATurn = 256;
constexpr float kTurn = static_cast<float>(2 * std::numbers::pi);

template <typename T>
void Put(std::byte*& to, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) *to++ = static_cast<std::byte>(value >> (8 * i));
}

template <typename T>
T Take(const std::byte*& from) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<T>(*from++) << (8 * i));
  return value;
}

// `value` in [0, most], also where it is not finite.
uint32_t Bounded(float value, float most) { return static_cast<uint32_t>(value > 0 ? std::min(value, most) : 0.0f); }

}  // namespace

void PackLocal(const LocalFeature& feature, LocalRow row) {
  std::byte* to = row.data();
  Put(to, feature.word);
  Put(to, feature.signature);
  Put(to, static_cast<uint16_t>(Bounded(feature.x * kStepsAPixel, 65535)));
  Put(to, static_cast<uint16_t>(Bounded(feature.y * kStepsAPixel, 65535)));
  const float log = feature.sigma > 0 ? std::log2(feature.sigma) : kLowestLog;
  Put(to, static_cast<uint8_t>(Bounded((log - kLowestLog) * kStepsADoubling + 0.5f, 255)));
  const auto turns =
      static_cast<int>(std::isfinite(feature.angle) ? std::lround(feature.angle / kTurn * kStepsATurn) : 0);
  Put(to, static_cast<uint8_t>(turns & 255));
}

LocalFeature UnpackLocal(ConstLocalRow row) {
  const std::byte* from = row.data();
  LocalFeature feature;
  feature.word = Take<uint32_t>(from);
  feature.signature = Take<uint64_t>(from);
  feature.x = (static_cast<float>(Take<uint16_t>(from)) + 0.5f) / kStepsAPixel;
  feature.y = (static_cast<float>(Take<uint16_t>(from)) + 0.5f) / kStepsAPixel;
  feature.sigma = std::exp2(static_cast<float>(Take<uint8_t>(from)) / kStepsADoubling + kLowestLog);
  feature.angle = static_cast<float>(Take<uint8_t>(from)) / kStepsATurn * kTurn;
  return feature;
}

std::vector<std::byte> PackLocals(std::span<const LocalFeature> features) {
  std::vector<std::array<std::byte, kLocalRowSize>> rows(features.size());
  for (size_t i = 0; i < features.size(); ++i) PackLocal(features[i], rows[i]);
  // By word, then by all else: the order of the keypoints leaves no trace.
  std::ranges::sort(rows, {}, [](const std::array<std::byte, kLocalRowSize>& row) {
    const std::byte* from = row.data();
    const auto word = Take<uint32_t>(from);
    return std::pair(word, row);
  });
  std::vector<std::byte> value(rows.size() * kLocalRowSize);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::ranges::copy(rows[i], value.begin() + static_cast<ptrdiff_t>(i * kLocalRowSize));
  }
  return value;
}

absl::StatusOr<std::vector<LocalFeature>> UnpackLocals(std::span<const std::byte> value) {
  if (value.size() % kLocalRowSize != 0) {
    return absl::DataLossError("a value of local features of " + std::to_string(value.size()) +
                               " bytes, which is no multiple of " + std::to_string(kLocalRowSize));
  }
  std::vector<LocalFeature> features;
  features.reserve(value.size() / kLocalRowSize);
  for (; !value.empty(); value = value.subspan(kLocalRowSize)) {
    features.push_back(UnpackLocal(value.first<kLocalRowSize>()));
  }
  return features;
}

}  // namespace likeness
