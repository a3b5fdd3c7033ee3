// An answer to a visual query, and why each image is in it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "types/feature_key.h"
#include "types/score.h"
#include "types/signal.h"
#include "types/signature.h"

namespace likeness {

// How far a plain feature speaks for a hit: its colors, say.
struct PlainEvidence {
  FeatureKey feature;
  float match = 0;    // in [0, 1]
  std::string value;  // as the feature store has it; empty for an image without the feature
};

// Keypoints that the query and a hit have in common.
struct TokenEvidence {
  uint32_t pairs = 0;     // that agree by visual word and signature
  uint32_t verified = 0;  // of those, that lie where one and the same picture would have them
  // Where the hit shows what the query shows: the corners of a polygon in order around it, each x and y as shares of
  // the hit's width and height, in [0, 1].
  std::vector<std::array<float, 2>> region;
};

// What speaks for a hit, so that a person can judge it.
struct Evidence {
  FeatureKey feature;
  Distance distance;                         // between the codes
  uint32_t code_bits = 0;                    // length of the codes; without a picture there is none to compare
  Score cosine;                              // of the int8 vectors
  std::optional<PlainEvidence> plain = {};   // when the query asked for it
  SignalValues signals = {};                 // what the score was made of
  std::optional<TokenEvidence> tokens = {};  // where the token index was asked, and keypoints were verified
  // How well the words of the image go with those of the other results, in [0, 1]; when it was asked for and known.
  std::optional<float> conformity = {};
  std::optional<float> probability = {};  // that the hit is relevant, in [0, 1]; where the ranker is calibrated
};

// A word that people wrote about an image, as a digest of the word itself, and how much it tells (rarer: more).
struct Annotation {
  uint32_t word = 0;
  float weight = 0;  // above 0
  friend bool operator==(const Annotation&, const Annotation&) = default;
};

// What the root must know of a hit to compare it with the others; a leaf fills in what the query asks for.
struct HitTraits {
  struct Hash {
    std::array<uint64_t, 4> words = {};
    int32_t quality = 0;  // 0..100
    friend bool operator==(const Hash&, const Hash&) = default;
  };
  std::optional<Hash> hash = {};       // PDQ, of 256 bits
  std::vector<uint64_t> code = {};     // the binary code of the deep feature
  std::vector<Annotation> words = {};  // by rising word, distinct
};

// An image that shows the same as a hit does, and was put behind it.
struct Duplicate {
  Signature signature;
  uint32_t width = 0;  // pixels of the upright image
  uint32_t height = 0;
  Score score;
  std::optional<Distance> hash_distance = {};  // to the hit, of 256 bits; where both have a hash that can be trusted
  std::optional<Distance> code_distance = {};  // to the hit
};

// One image of an answer. An answer lists hits best first: by falling score, ties by signature.
struct Hit {
  Signature signature;
  uint32_t width = 0;  // pixels of the upright image
  uint32_t height = 0;
  Score score;
  Evidence evidence;
  HitTraits traits = {};
  std::vector<Duplicate> duplicates = {};  // by falling score, ties by signature
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
