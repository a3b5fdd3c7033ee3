// Everything that is known of one picture: what the collection says of it, and every feature computed anew.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "feature/color.h"
#include "feature/hash.h"
#include "feature/local.h"
#include "pipeline/home.h"
#include "types/feature_key.h"
#include "types/pin.h"
#include "types/signature.h"

namespace likeness {

struct PictureFacts {
  // A deep feature of the picture.
  struct Deep {
    FeatureKey key;
    size_t dimension = 0;
    double norm = 0;
    std::vector<float> first;    // components, at most 8
    size_t code_bits = 0;        // 0: no release has a binarizer for it
    std::vector<uint64_t> code;  // as in Fingerprint
  };
  // How a feature stands.
  struct State {
    std::string type;    // "deep.NAME", "color", ...
    std::string key;     // TYPE/VERSION; empty when it is not to be had here
    std::string reason;  // why the picture has no value, or why the feature is not to be had; empty when it has one
    std::string stored;  // what the feature store has: "a value", "no value: REASON"; empty: nothing yet
  };

  Signature signature;
  std::string source;
  std::string format;  // empty when the header cannot be read
  uint64_t bytes = 0;
  uint32_t width = 0;  // pixels of the upright picture; 0 when it cannot be read
  uint32_t height = 0;
  bool known = false;  // the collection has it; the next four are of it
  std::string epoch;
  std::string shard;       // empty: not yet in one
  std::string quarantine;  // reason, or empty
  std::vector<Pin> pins;
  std::string unreadable;  // why it cannot be decoded; then all below is empty

  std::string jpeg;  // at most 1024 pixels, for showing it
  SalientRegion salient;
  ColorSignature colors;
  std::optional<PdqValue> hash;
  LocalFeatures keypoints;          // strongest first
  std::vector<LocalFeature> words;  // beside keypoints; empty without a vocabulary
  size_t vocabulary = 0;            // words in it
  std::vector<Deep> deep;
  std::vector<State> states;
};

// `bytes` is the file's content and `record` what the catalog says of it, if anything. A picture that cannot be read
// has facts too. Errors: of the world alone.
absl::StatusOr<PictureFacts> GatherPictureFacts(Home& home, const std::string& bytes,
                                                const std::optional<ImageRecord>& record, std::string source);

// One self-contained page: the picture with keypoints, salient region and box drawn on it, and all else beside it.
std::string PictureHtml(const PictureFacts& facts);

}  // namespace likeness
