// Is one picture the other one altered (SAME), or of the same things (SIMILAR)?
//
// Keypoints and hashes propose how the pictures may lie upon one another; whether they do is for their pixels to say:
// a logo on two photographs has matching keypoints, but around it the pixels differ. docs/duplicates.md has the rules
// and how their numbers were found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "feature/hash.h"
#include "product/duplicate_query.h"
#include "product/pixel_agreement.h"
#include "product/thumbnail.h"
#include "rank/verify.h"

namespace likeness {

// Raised whenever the same two pictures may be judged otherwise, or others proposed: what was found before counts no
// more.
inline constexpr int kDuplicateRules = 1;

enum class DuplicateVerdict {
  kDifferent,
  kSimilar,  // shows some of the same, or looks much alike, but is another photograph
  kSame,     // the same photograph: resized, cropped, turned, mirrored, encoded again, framed, written upon
};
std::string_view DuplicateVerdictName(DuplicateVerdict verdict);  // "different", "similar", "same"

// What is stored of a picture.
struct DuplicateDocument {
  uint32_t width = 0;  // pixels of the upright original
  uint32_t height = 0;
  std::optional<PdqValue> hash;
  std::span<const LocalFeature> local;  // by word
};

// Where two pictures may lie upon one another, and who says so.
struct Alignment {
  Affine transform;    // the query's frame to the document's
  size_t inliers = 0;  // keypoints that say so; 0: the hash does
  size_t pairs = 0;
  float spread = 0;   // of the inliers over the overlap
  float matched = 0;  // share of the keypoints in the overlap that are inliers, in the picture with fewer
  std::optional<uint32_t> distance;  // bits between the hashes; nothing: keypoints say so
};

// What speaks for a verdict. Lengths are pixels of the upright originals.
struct DuplicateEvidence {
  std::optional<uint32_t> hash_distance;            // of the best of eight forms; nothing where one has no hash
  Dihedral hash_form = Dihedral::kAsIs;             // of the query
  size_t pairs = 0;                                 // keypoints of like word and signature
  size_t inliers = 0;                               // those that lie where they should
  Affine transform;                                 // the query's pixels to the document's
  Polygon query_region, document_region;            // what both show
  float query_coverage = 0, document_coverage = 0;  // its share of each picture, in [0, 1]
  bool mirrored = false;
  float turned = 0;  // degrees, clockwise, in (-180, 180]
  float scale = 1;   // the document's size over the query's, of a length
  float spread = 0, matched = 0;
  PixelAgreement pixels;  // its transform is between frames
};

struct DuplicateJudgement {
  DuplicateVerdict verdict = DuplicateVerdict::kDifferent;
  float score = 0;  // how sure it is that they are the same photograph, in [0, 1]; SAME from kSameScore on
  DuplicateEvidence evidence;
};
inline constexpr float kSameScore = 0.5f;

struct VerdictOptions {
  VerifyOptions verify;
  size_t fewest_inliers = 4;         // for pixels to be compared
  uint32_t most_hash_distance = 80;  // the same; of 256
};

// The ways to lay the query upon the document that are worth a look at their pixels: at most one from keypoints, as it
// is or mirrored, and one from hashes. Empty: DIFFERENT. Any thread.
std::vector<Alignment> ProposeAlignments(const DuplicateQuery& query, const DuplicateDocument& document,
                                         const VerdictOptions& options = {});

// How the query's frame lies upon the document's when the hash of its form `form` is that of the document.
Affine TransformOf(Dihedral form, FrameSize query, FrameSize document);

// The best of the alignments by what the pixels say. Any thread.
DuplicateJudgement JudgeDuplicate(const DuplicateQuery& query, const DuplicateDocument& document,
                                  std::span<const Alignment> alignments, const Thumbnail& thumbnail);

// In [0, 1], from the figures alone: those of keypoints, of the hash, and of the pixels.
float SameScore(const DuplicateEvidence& evidence);

}  // namespace likeness
