// What a leaf is asked and what it answers: plain data, that can be sent as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "index/nearest.h"
#include "types/feature_key.h"
#include "types/fingerprint.h"
#include "types/hit.h"

namespace likeness {

// A wish beside the look: of a plain feature, "in red".
struct PlainWish {
  FeatureKey feature;
  float weight = 0.5f;  // of the wish in the score, in [0, 1]; the look has the rest
  // What says how well a stored value meets it, by name, and what that needs to know: see MatcherOf.
  std::string matcher;
  std::string wanted;
  size_t refine_least = 2000;  // candidates by the look that are looked at for the wish at least, of each segment
};

// How well a stored value meets a wish, in [0, 1]. Any thread.
using PlainMatcher = std::function<float(std::span<const std::byte> value)>;

// The matchers there are:
//   "color"  how much of a color signature has the color `wanted`: three little-endian f32, L, a and b (ColorQuery)
// Errors: InvalidArgument (no such matcher, or not what it needs).
absl::StatusOr<PlainMatcher> MatcherOf(const PlainWish& wish);
// A wish for a color.
PlainWish ColorWishOf(const FeatureKey& feature, float l, float a, float b, float weight);

// A plain feature of the query, to be compared with that of each candidate.
struct PlainValue {
  FeatureKey feature;
  std::string value;  // as the feature store has it
};

// The keypoints of the query, for the token index.
struct LocalValue {
  FeatureKey feature;
  std::string rows;    // docs/formats/local.md, in the order of words, one or several for each keypoint
  uint32_t width = 0;  // pixels of the picture or region that they are of
  uint32_t height = 0;
};

// What a hit brings with it for the root to compare hits with each other.
struct WantedTraits {
  std::optional<FeatureKey> hash = {};  // HitTraits::hash, from this plain feature
  bool code = false;                    // HitTraits::code
  bool words = false;                   // HitTraits::words
};

// What is looked for: one deep feature in its compact forms, a wish, or both.
struct VisualQuery {
  FeatureKey feature;
  DeepCode code;  // empty: the wish alone decides
  std::optional<PlainWish> wish = {};

  // What candidates are refined with. A signal whose weight is 0 is computed only where it costs nothing.
  SignalWeights weights = {};
  std::optional<PlainValue> color = {};  // the query's color signature, for Signal::kColor
  std::vector<Annotation> words = {};    // what people wrote about the query, by rising word, for Signal::kAnnotation
  std::vector<float> topic = {};         // the query's topic vector, for Signal::kTopic
  // For Signal::kTokens: documents that share keypoints with the query are candidates too, however far their codes are.
  // Without it a leaf skips the token index and goes straight to the nearest neighbors (paper, section 2.3).
  std::optional<LocalValue> local = {};
  size_t token_candidates = 64;  // documents of each segment that are verified, the best by visual words

  size_t k = 24;              // hits wanted
  size_t refine_least = 400;  // candidates that are refined at least, of each segment
  size_t refine_factor = 10;  // and at least so many for each hit wanted, of the whole collection
  // Documents of the collection. A segment that has a part of them refines its share of the candidates, as signatures
  // spread pictures evenly, with room for chance; unknown: as many as if it were the whole.
  std::optional<uint64_t> collection = {};
  float effort = 1;  // how hard the candidates are looked for: NearestOptions::effort
  WantedTraits traits = {};
  // The background: documents whose signature, its first four bytes as a big-endian number, is below this are compared
  // with the query besides (BackgroundBound). They are the same however the collection is cut into segments.
  uint64_t background_below = 0;
  Deadline deadline = Deadline::Never();
};

// How the query compares with documents drawn at random: sums of whole numbers, so that they can be added up in any
// order. The cosine of the int8 vectors, in 2^-20.
struct Background {
  static constexpr double kUnit = 1.0 / (1 << 20);
  uint64_t count = 0;
  int64_t sum = 0;
  int64_t squares = 0;

  void Add(const Background& other) {
    count += other.count;
    sum += other.sum;
    squares += other.squares;
  }
  friend bool operator==(const Background&, const Background&) = default;
};

// What `background_below` draws about `sample` of `images` documents; all where there are fewer.
constexpr uint64_t BackgroundBound(uint64_t images, uint64_t sample = 1024) {
  constexpr uint64_t kAll = uint64_t{1} << 32;
  return images <= sample ? kAll
                          : static_cast<uint64_t>(static_cast<double>(kAll) / static_cast<double>(images) *
                                                  static_cast<double>(sample));
}

// What one leaf says, or several together.
struct LeafAnswer {
  std::vector<Hit> hits;  // best first, ties by signature, every image once; at most query.k
  SearchStats stats;
  Background background;
  std::vector<Coverage::Gap> gaps = {};  // documents of `stats` that nobody could look at, and why
};

}  // namespace likeness
