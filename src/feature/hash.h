// PDQ, a perceptual hash of 256 bits with a quality: pictures that look alike differ in few bits.
//
// Bits, quality and written form are those of "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing
// Algorithm" (Facebook, 2019), so that hashes can be compared with published lists of them.
// docs/features/hash.md says more, docs/formats/pdq.md has the layout. All functions: any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "feature/extractor.h"
#include "image/pixels.h"
#include "types/feature_key.h"

namespace likeness {

// Bit 16 * u + v says whether the cosine coefficient with u + 1 half waves down and v + 1 half waves across the picture
// is above the median of all; it is bit (16 * u + v) % 64 of word (16 * u + v) / 64, as kernel/hamming.h has codes.
struct PdqHash {
  static constexpr size_t kBits = 256;
  std::array<uint64_t, 4> words = {};
  friend bool operator==(const PdqHash&, const PdqHash&) = default;
};

// The ways to turn and mirror a picture. A hash list holds one of them, so a query asks for all eight.
enum class Dihedral {
  kAsIs,
  kRotate90,  // counterclockwise
  kRotate180,
  kRotate270,
  kFlipRows,     // upside down
  kFlipColumns,  // left and right exchanged
  kTranspose,
  kAntiTranspose,
};
inline constexpr size_t kDihedralForms = 8;

// Hashes below this quality match by accident; the publication advises against comparing them.
inline constexpr int kPdqUsableQuality = 50;
// Pictures whose hashes differ in at most so many bits are the same for those who publish hash lists.
inline constexpr uint32_t kPdqSameDistance = 31;

// What a picture is hashed from.
class PdqTransform {
 public:
  // Errors, which finish "this image has no hash: ": OutOfRange when a side is shorter than 5 pixels, or the quality
  // is 0: one flat color, or so little contrast that the bits would be noise. REQUIRES: pixels are not empty
  static absl::StatusOr<PdqTransform> Of(const Pixels& pixels);

  // 1..100: how much there is to see.
  int quality() const { return quality_; }
  PdqHash Hash(Dihedral form = Dihedral::kAsIs) const;
  // In the order of Dihedral.
  std::array<PdqHash, kDihedralForms> AllForms() const;

 private:
  PdqTransform() = default;
  int quality_ = 0;
  std::array<float, PdqHash::kBits> coefficients_ = {};
};

// In bits, 0..256.
uint32_t PdqDistance(const PdqHash& a, const PdqHash& b);

// 64 lower-case digits, the highest bit first, as hash lists have it.
std::string PdqToHex(const PdqHash& hash);
// Nothing unless it is 64 hexadecimal digits.
std::optional<PdqHash> PdqFromHex(std::string_view digits);

// A stored value: 32 bytes, bit k of the hash being bit k % 8 of byte k / 8, then the quality.
inline constexpr size_t kPdqValueBytes = 33;
struct PdqValue {
  PdqHash hash;
  int quality = 0;
};
// Nothing unless it is kPdqValueBytes with a quality of 0..100.
std::optional<PdqValue> ParsePdqValue(std::span<const std::byte> bytes);

// "pdq/VERSION".
FeatureKey HashFeatureKey();

// Values are u8[33].
std::unique_ptr<Extractor> MakeHashExtractor();

}  // namespace likeness
