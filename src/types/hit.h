// An answer to a visual query, and why each image is in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "types/feature_key.h"
#include "types/score.h"
#include "types/signature.h"

namespace likeness {

// How far a plain feature speaks for a hit: its colors, say.
struct PlainEvidence {
  FeatureKey feature;
  float match = 0;    // in [0, 1]
  std::string value;  // as the feature store has it; empty for an image without the feature
};

// What speaks for a hit, so that a person can judge it.
struct Evidence {
  FeatureKey feature;
  Distance distance;                        // between the codes
  uint32_t code_bits = 0;                   // length of the codes; without a picture there is none to compare
  Score cosine;                             // of the int8 vectors
  std::optional<PlainEvidence> plain = {};  // when the query asked for it
};

// One image of an answer. An answer lists hits best first: by falling score, ties by signature.
struct Hit {
  Signature signature;
  uint32_t width = 0;  // pixels of the upright image
  uint32_t height = 0;
  Score score;
  Evidence evidence;
};

// How much of the collection an answer stands for.
struct Coverage {
  // Images that nobody could look at, and why: "leaf 10.0.0.7:8485 cannot be reached".
  struct Gap {
    uint64_t images = 0;
    std::string reason;
  };
  uint64_t searched = 0;  // images that were looked at before the deadline
  uint64_t images = 0;    // images in the release
  std::vector<Gap> gaps = {};
};

}  // namespace likeness
