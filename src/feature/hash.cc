#include "feature/hash.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/bytes.h"
#include "kernel/hamming.h"
#include "kernel/row_sum.h"

namespace likeness {
namespace {

// Raised whenever this code would give other values for the same picture.
constexpr int kRevision = 1;

constexpr size_t kSide = 64;   // of the picture that is transformed
constexpr size_t kWaves = 16;  // frequencies kept in each direction
constexpr uint32_t kShortestSide = 5;
constexpr float kLuma[3] = {0.299f, 0.587f, 0.114f};  // Rec. 601

// One direction of the reduction to 64: for each result the inputs [first, first + count) and their weights.
struct Taps {
  struct Span {
    uint32_t first = 0;
    uint32_t count = 0;
    size_t weights = 0;  // where its weights begin
  };
  std::array<Span, kSide> spans;
  std::vector<float> weights;
};

// The publication averages over a window of ceil(n / 128) pixels, does so again, and takes the pixel in the middle of
// each of 64 equal parts; at the ends a window is what is left of it. Here the two averages and the choice are one sum.
// When a decoder has reduced `full` pixels to `size`, the weights of the pixels that became one are added up.
Taps MakeTaps(uint32_t full, uint32_t size) {
  const int64_t n = full, window = (n + 127) / 128;
  const int64_t ahead = window / 2, behind = window - 1 - ahead;
  const auto begin = [&](int64_t i) { return std::max<int64_t>(0, i - behind); };
  const auto end = [&](int64_t i) { return std::min(n, i + ahead + 1); };
  Taps taps;
  std::vector<double> steps, sums;
  for (size_t out = 0; out < kSide; ++out) {
    const int64_t center = (2 * static_cast<int64_t>(out) + 1) * n / (2 * static_cast<int64_t>(kSide));
    const int64_t from = begin(begin(center)), to = end(end(center) - 1);
    steps.assign(static_cast<size_t>(to - from) + 1, 0.0);  // differences between neighbouring weights
    for (int64_t k = begin(center); k < end(center); ++k) {
      const double weight = 1.0 / static_cast<double>((end(center) - begin(center)) * (end(k) - begin(k)));
      steps[static_cast<size_t>(begin(k) - from)] += weight;
      steps[static_cast<size_t>(end(k) - from)] -= weight;
    }
    const auto reduced = [&](int64_t x) { return static_cast<uint32_t>((2 * x + 1) * size / (2 * n)); };
    const uint32_t first = reduced(from), last = reduced(to - 1);
    sums.assign(last - first + 1, 0.0);
    double weight = 0;
    for (int64_t x = from; x < to; ++x) {
      weight += steps[static_cast<size_t>(x - from)];
      sums[reduced(x) - first] += weight;
    }
    taps.spans[out] = {first, last - first + 1, taps.weights.size()};
    for (const double sum : sums) taps.weights.push_back(static_cast<float>(sum));
  }
  return taps;
}

using Luma = std::array<std::array<float, kSide>, kSide>;

Luma Reduce(const Pixels& pixels) {
  const Taps columns = MakeTaps(pixels.full_width, pixels.width), rows = MakeTaps(pixels.full_height, pixels.height);
  const size_t stride = size_t{pixels.width} * 3;
  std::vector<float> rgb(stride), luma(pixels.width);
  Luma out;
  for (size_t y = 0; y < kSide; ++y) {
    const Taps::Span& span = rows.spans[y];
    WeightedRowSum(pixels.rgb.data() + span.first * stride, stride, {&rows.weights[span.weights], span.count}, rgb);
    for (size_t x = 0; x < luma.size(); ++x) {
      luma[x] = kLuma[0] * rgb[x * 3] + kLuma[1] * rgb[x * 3 + 1] + kLuma[2] * rgb[x * 3 + 2];
    }
    for (size_t x = 0; x < kSide; ++x) {
      const Taps::Span& tap = columns.spans[x];
      float sum = 0;
      for (uint32_t i = 0; i < tap.count; ++i) sum += columns.weights[tap.weights + i] * luma[tap.first + i];
      out[y][x] = sum;
    }
  }
  return out;
}

// Steps between neighbours, in whole percent of the range so that faint ones do not count, added up and scaled.
int Quality(const Luma& luma) {
  int sum = 0;
  const auto step = [](float a, float b) { return std::abs(static_cast<int>((a - b) * 100 / 255)); };
  for (size_t y = 0; y < kSide; ++y) {
    for (size_t x = 0; x < kSide; ++x) {
      if (y + 1 < kSide) sum += step(luma[y][x], luma[y + 1][x]);
      if (x + 1 < kSide) sum += step(luma[y][x], luma[y][x + 1]);
    }
  }
  return std::min(sum / 90, 100);
}

// [frequency - 1][position] of the discrete cosine transform of 64 values, frequencies 1..16.
using CosineTable = std::array<std::array<float, kSide>, kWaves>;
const CosineTable& Cosines() {
  static const CosineTable table = [] {
    CosineTable cosines;
    for (size_t u = 0; u < kWaves; ++u) {
      for (size_t x = 0; x < kSide; ++x) {
        const double angle = std::numbers::pi / (2 * kSide) * static_cast<double>((u + 1) * (2 * x + 1));
        cosines[u][x] = static_cast<float>(std::sqrt(2.0 / kSide) * std::cos(angle));
      }
    }
    return cosines;
  }();
  return table;
}

std::array<float, PdqHash::kBits> Transform(const Luma& luma) {
  const CosineTable& cosines = Cosines();
  std::array<float, PdqHash::kBits> out;
  for (size_t u = 0; u < kWaves; ++u) {
    std::array<float, kSide> row = {};  // frequency u + 1 down each column
    for (size_t y = 0; y < kSide; ++y) {
      for (size_t x = 0; x < kSide; ++x) row[x] += cosines[u][y] * luma[y][x];
    }
    for (size_t v = 0; v < kWaves; ++v) {
      float sum = 0;
      for (size_t x = 0; x < kSide; ++x) sum += cosines[v][x] * row[x];
      out[u * kWaves + v] = sum;
    }
  }
  return out;
}

class HashExtractor : public Extractor {
 public:
  const FeatureKey& key() const override { return key_; }
  FeatureLayout layout() const override { return {Dtype::kU8, kPdqValueBytes, false}; }

  absl::StatusOr<std::vector<FeatureValue>> Extract(std::span<const Pixels> pictures) const override {
    std::vector<FeatureValue> values;
    values.reserve(pictures.size());
    for (const Pixels& pixels : pictures) values.push_back(Value(pixels));
    return values;
  }

 private:
  static FeatureValue Value(const Pixels& pixels) {
    LIKENESS_ASSIGN_OR_RETURN(const PdqTransform transform, PdqTransform::Of(pixels));
    const PdqHash hash = transform.Hash();
    std::vector<std::byte> bytes(kPdqValueBytes);
    for (size_t i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(hash.words[i / 8] >> (i % 8 * 8));
    bytes[32] = static_cast<std::byte>(transform.quality());
    return bytes;
  }

  FeatureKey key_ = HashFeatureKey();
};

}  // namespace

absl::StatusOr<PdqTransform> PdqTransform::Of(const Pixels& pixels) {
  if (std::min(pixels.full_width, pixels.full_height) < kShortestSide) {
    return absl::OutOfRangeError("it is " + std::to_string(pixels.full_width) + " x " +
                                 std::to_string(pixels.full_height) + " pixels, and each side must have 5 at least");
  }
  const Luma luma = Reduce(pixels);
  PdqTransform transform;
  transform.quality_ = Quality(luma);
  if (transform.quality_ == 0) {
    return absl::OutOfRangeError("it is too flat: its quality as a PDQ hash is 0 of 100");
  }
  transform.coefficients_ = Transform(luma);
  return transform;
}

PdqHash PdqTransform::Hash(Dihedral form) const {
  const bool transposed = form == Dihedral::kRotate90 || form == Dihedral::kRotate270 || form == Dihedral::kTranspose ||
                          form == Dihedral::kAntiTranspose;
  // Mirrored in a direction, a wave of an odd number of half waves is its negative. Of the result, after transposing.
  const bool mirror_rows = form == Dihedral::kRotate90 || form == Dihedral::kRotate180 || form == Dihedral::kFlipRows ||
                           form == Dihedral::kAntiTranspose;
  const bool mirror_columns = form == Dihedral::kRotate270 || form == Dihedral::kRotate180 ||
                              form == Dihedral::kFlipColumns || form == Dihedral::kAntiTranspose;
  std::array<float, PdqHash::kBits> turned;
  for (size_t u = 0; u < kWaves; ++u) {
    for (size_t v = 0; v < kWaves; ++v) {
      const float value = coefficients_[transposed ? v * kWaves + u : u * kWaves + v];
      const bool negative = (mirror_rows && u % 2 == 0) != (mirror_columns && v % 2 == 0);
      turned[u * kWaves + v] = negative ? -value : value;
    }
  }
  std::array<float, PdqHash::kBits> sorted = turned;
  const auto median = sorted.begin() + PdqHash::kBits / 2 - 1;  // the lower one of the two in the middle
  std::nth_element(sorted.begin(), median, sorted.end());
  PdqHash hash;
  for (size_t k = 0; k < PdqHash::kBits; ++k) {
    if (turned[k] > *median) hash.words[k / 64] |= uint64_t{1} << (k % 64);
  }
  return hash;
}

std::array<PdqHash, kDihedralForms> PdqTransform::AllForms() const {
  std::array<PdqHash, kDihedralForms> forms;
  for (size_t i = 0; i < kDihedralForms; ++i) forms[i] = Hash(static_cast<Dihedral>(i));
  return forms;
}

uint32_t PdqDistance(const PdqHash& a, const PdqHash& b) { return HammingDistance(a.words, b.words); }

std::string PdqToHex(const PdqHash& hash) {
  std::array<std::byte, 32> bytes;
  for (size_t i = 0; i < 32; ++i) bytes[31 - i] = static_cast<std::byte>(hash.words[i / 8] >> (i % 8 * 8));
  return HexEncode(bytes);
}

std::optional<PdqHash> PdqFromHex(std::string_view digits) {
  std::array<std::byte, 32> bytes;
  if (!HexDecode(digits, bytes)) return std::nullopt;
  PdqHash hash;
  for (size_t i = 0; i < 32; ++i) hash.words[i / 8] |= static_cast<uint64_t>(bytes[31 - i]) << (i % 8 * 8);
  return hash;
}

std::optional<PdqValue> ParsePdqValue(std::span<const std::byte> bytes) {
  if (bytes.size() != kPdqValueBytes || static_cast<int>(bytes[32]) > 100) return std::nullopt;
  PdqValue value;
  for (size_t i = 0; i < 32; ++i) value.hash.words[i / 8] |= static_cast<uint64_t>(bytes[i]) << (i % 8 * 8);
  value.quality = static_cast<int>(bytes[32]);
  return value;
}

FeatureKey HashFeatureKey() {
  return FeatureKey::Of("pdq", "revision=" + std::to_string(kRevision) +
                                   "\nsize=" + std::to_string(kStandardSize.shorter) + "," +
                                   std::to_string(kStandardSize.longer) + "\n");
}

std::unique_ptr<Extractor> MakeHashExtractor() { return std::make_unique<HashExtractor>(); }

}  // namespace likeness
