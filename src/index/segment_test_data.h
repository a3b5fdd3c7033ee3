// Shards of invented fingerprints for the tests of this room.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "base/random.h"
#include "index/segment_writer.h"
#include "support/test_seed.h"
#include "types/fingerprint.h"

namespace likeness {

inline Signature RandomSignature(Random& random) {
  Signature signature;
  for (std::byte& byte : signature.bytes) byte = std::byte(random());
  return signature;
}

inline DeepCode RandomDeepCode(Random& random, const DeepShape& shape) {
  DeepCode value;
  for (size_t i = 0; i < shape.words(); ++i) value.code.push_back(random());
  if (shape.code_bits % 64 != 0) value.code.back() &= (uint64_t{1} << (shape.code_bits % 64)) - 1;
  double squares = 0;
  for (uint32_t i = 0; i < shape.dimension; ++i) {
    value.vector.push_back(static_cast<int8_t>(static_cast<int>(random.Below(255)) - 127));
    squares += value.vector.back() * value.vector.back();
  }
  value.norm = static_cast<float>(std::sqrt(squares));
  return value;
}

// Two deep features; where not `complete`, the first is missing from each seventh document and the second from none.
struct TestShard {
  TestShard(size_t documents, uint64_t seed, bool complete = false) {
    Random random(seed);
    for (size_t i = 0; i < documents; ++i) {
      Fingerprint& fingerprint = fingerprints.emplace_back();
      fingerprint.signature = RandomSignature(random);
      fingerprint.width = static_cast<uint32_t>(random.Below(5000));
      fingerprint.height = static_cast<uint32_t>(random.Below(5000));
      for (size_t f = 0; f < features.size(); ++f) {
        if (!complete && f == 0 && i % 7 == 3) continue;
        fingerprint.deep.push_back({features[f].key, RandomDeepCode(random, features[f].shape)});
      }
    }
    std::sort(fingerprints.begin(), fingerprints.end(),
              [](const Fingerprint& a, const Fingerprint& b) { return a.signature < b.signature; });
  }

  std::vector<std::byte> Seal() const {
    SegmentWriter writer = *SegmentWriter::Create(features);
    for (const Fingerprint& fingerprint : fingerprints) LIKENESS_CHECK(writer.Add(fingerprint).ok());
    return writer.Seal();
  }

  std::vector<SegmentWriter::Deep> features{{FeatureKey::Of("deep.a", "1"), {256, 320}},
                                            {FeatureKey::Of("deep.b", "1"), {100, 7}}};
  std::vector<Fingerprint> fingerprints;
};

// The worked example of docs/formats/segment.md, kept as tests/format/segment_v1.bin.
inline std::vector<std::byte> VersionOneExample() {
  const FeatureKey key = *FeatureKey::Parse("deep.tiny/0123456789ab");
  SegmentWriter writer = *SegmentWriter::Create({{key, {64, 4}}});
  Fingerprint first{
      .signature = *Signature::Parse("00112233445566778899aabbccddeeff"), .width = 640, .height = 480, .deep = {}};
  first.deep.push_back({key, {{0x0123456789ABCDEFu}, {127, -127, 0, 1}, 179.607906f}});
  LIKENESS_CHECK(writer.Add(first).ok());
  const Fingerprint second{
      .signature = *Signature::Parse("900150983cd24fb0d6963f7d28e17f72"), .width = 224, .height = 225, .deep = {}};
  LIKENESS_CHECK(writer.Add(second).ok());
  return writer.Seal();
}

}  // namespace likeness
