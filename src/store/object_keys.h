// The keys of the object store (docs/formats/object-keys.md): built here and parsed here, nowhere else.
//
// A generation names what the files of an index are made with; it is shaped as a release's name is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "types/epoch.h"
#include "types/feature_key.h"
#include "types/signature.h"

namespace likeness {

std::string ImageKey(const Signature& signature);                              // images/ab/SIGNATURE
std::string EpochListKey(const ShardId& shard);                                // epochs/DATE/SHARD
std::string FeatureShardKey(const FeatureKey& feature, const ShardId& shard);  // features/TYPE/VERSION/DATE/SHARD
std::string FeaturePartKey(const FeatureKey& feature, const ShardId& shard, uint32_t part);  // the same + .partK
std::string FingerprintKey(std::string_view generation,
                           const ShardId& shard);                           // fingerprints/GENERATION/DATE/SHARD.sst
std::string SegmentKey(std::string_view generation, const ShardId& shard);  // indexes/GENERATION/DATE/SHARD/segment
std::string ReleaseKey(std::string_view release);                           // releases/NAME
std::string BinarizerKey(std::string_view feature_type, std::string_view digest);  // binarizers/TYPE/DIGEST
std::string YoungKey(std::string_view name);                                       // young/NAME
inline constexpr std::string_view kCurrentKey = "CURRENT";

// For List: all parts of one cell, all cells of one feature, and so on. Each ends so that only whole names match.
inline constexpr std::string_view kEpochListPrefix = "epochs/";
inline constexpr std::string_view kReleasePrefix = "releases/";
inline constexpr std::string_view kYoungPrefix = "young/";
std::string FeaturePrefix(const FeatureKey& feature);                            // features/TYPE/VERSION/
std::string FeaturePartPrefix(const FeatureKey& feature, const ShardId& shard);  // features/…/SHARD.part

// A release name: 1 to 100 of a-z 0-9 '.' '_' '-', beginning with a letter or digit.
bool IsReleaseName(std::string_view name);

// What a key names. Fields that the kind does not use are left as they are made.
struct ObjectKey {
  enum class Kind {
    kImage,
    kEpochList,
    kFeatureShard,
    kFeaturePart,
    kFingerprints,
    kSegment,
    kRelease,
    kBinarizer,
    kYoung,
    kCurrent
  };
  Kind kind = Kind::kCurrent;
  Signature signature;  // kImage
  ShardId shard;        // kEpochList, kFeatureShard, kFeaturePart, kFingerprints, kSegment
  FeatureKey feature;   // kFeatureShard, kFeaturePart; kBinarizer: type, and the digest as version
  uint32_t part = 0;    // kFeaturePart
  std::string release;  // kRelease; of kFingerprints and kSegment the generation; kYoung: the batch, shaped alike

  // Nothing unless one of the functions above builds exactly `key`.
  static std::optional<ObjectKey> Parse(std::string_view key);
  std::string ToString() const;
  friend bool operator==(const ObjectKey&, const ObjectKey&) = default;
};

}  // namespace likeness
