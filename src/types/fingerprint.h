// All that the index needs to know of one image (the paper's visualjoin).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "types/feature_key.h"
#include "types/signature.h"

namespace likeness {

// A deep feature in its two compact forms. Both come from the same vector after centring.
struct DeepCode {
  std::vector<uint64_t> code;  // sign bits after the rotation; bit i is bit i % 64 of word i / 64
  std::vector<int8_t> vector;  // the centred vector scaled so that its largest component is 127 or -127
  float norm = 0;              // Euclidean norm of `vector` in its integer units; 0 for a vector of zeros
};

// The features that an image has. An image whose picture cannot be read has none.
struct Fingerprint {
  struct Deep {
    FeatureKey key;
    DeepCode value;
  };
  // A feature that is kept as the feature store has it.
  struct Plain {
    FeatureKey key;
    std::string value;  // rows of the feature's layout, little-endian; empty when it has no rows
  };
  Signature signature;
  uint32_t width = 0;  // pixels of the upright image
  uint32_t height = 0;
  std::vector<Deep> deep;    // sorted by key
  std::vector<Plain> plain;  // sorted by key

  // Nothing when the image does not have it.
  const Plain* FindPlain(const FeatureKey& key) const {
    for (const Plain& one : plain) {
      if (one.key == key) return &one;
    }
    return nullptr;
  }
};

}  // namespace likeness
