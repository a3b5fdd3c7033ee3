#include "product/duplicate_verdict.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace likeness {
namespace {

constexpr size_t kSimilarInliers = 8;  // without the same pixels
constexpr uint32_t kSimilarHashDistance = 48;

struct BestForm {
  uint32_t distance = PdqHash::kBits + 1;
  Dihedral form = Dihedral::kAsIs;
};

BestForm NearestForm(const DuplicateQuery& query, const PdqHash& hash) {
  BestForm best;
  for (size_t i = 0; i < kDihedralForms; ++i) {
    const uint32_t distance = PdqDistance(query.forms()[i], hash);
    if (distance < best.distance) best = {distance, static_cast<Dihedral>(i)};
  }
  return best;
}

Alignment FromKeypoints(const Verification& verified) {
  Alignment alignment;
  alignment.transform = verified.transform;
  alignment.inliers = verified.inliers;
  alignment.pairs = verified.pairs;
  alignment.spread = verified.spread;
  const size_t fewer = std::max<size_t>(1, std::min(verified.query_places, verified.document_places));
  alignment.matched = std::min(1.0f, static_cast<float>(verified.inliers) / static_cast<float>(fewer));
  return alignment;
}

// Coverage of both pictures when the transform lays one upon the other.
struct Covered {
  Polygon query_region, document_region;  // in frames
  float query = 0, document = 0;
};

Covered CoverageOf(FrameSize query, const Affine& transform, FrameSize document) {
  Covered covered;
  const std::optional<Affine> back = transform.Inverse();
  if (!back) return covered;
  covered.document_region = Overlap(query, transform, document);
  for (const Point& p : covered.document_region) covered.query_region.push_back((*back)(p));
  covered.query = std::min(1.0f, AreaOf(covered.query_region) / (query.width * query.height));
  covered.document = std::min(1.0f, AreaOf(covered.document_region) / (document.width * document.height));
  return covered;
}

Affine Scaling(float factor) { return {factor, 0, 0, 0, factor, 0}; }

// What the places of the parts say for a copy, where the pixels agree so far that parts have places.
float LiesRight(const PixelAgreement& pixels) {
  if (pixels.displaced == 0) return 0;  // too few parts tell
  const float heard = std::clamp((pixels.agreeing - 0.3f) / 0.2f, 0.0f, 1.0f);
  return heard * std::clamp((0.2f - pixels.displaced) / 0.1f, 0.0f, 1.0f);
}

// A logistic function, fitted to pairs of pictures whose names end in an even digit, of all three evaluation sets, and
// judged on the others; moved so that hardly a pair of either half is wrong. docs/duplicates.md.
float FittedScore(const DuplicateEvidence& evidence) {
  const PixelAgreement& pixels = evidence.pixels;
  // How near to 1 a share is, so that .99 and .999 differ.
  const auto near = [](float share, float least) { return -std::log(1 + least - std::clamp(share, 0.0f, 1.0f)); };
  const auto inliers = static_cast<float>(evidence.inliers);
  const float log_inliers = std::log1p(inliers);
  const float blocks = static_cast<float>(std::min<size_t>(pixels.blocks, 60)) / 30;
  const float bits = std::min(100.0f, static_cast<float>(evidence.hash_distance.value_or(PdqHash::kBits))) / 50;
  const float logit = -19.020f                                                   //
                      + 1.158f * log_inliers                                     //
                      + 1.255f * log_inliers * log_inliers / 4                   //
                      + 1.172f * near(pixels.agreeing, 0.02f)                    //
                      + 0.659f * near(pixels.toned, 0.02f)                       //
                      - 1.825f * bits                                            //
                      + 3.339f * blocks                                          //
                      + 7.357f * evidence.matched                                //
                      + 0.826f * std::min(3.0f, inliers * evidence.spread / 20)  //
                      - 3.854f * log_inliers * pixels.agreeing                   //
                      + 2.691f * pixels.shown                                    //
                      + 1.455f * log_inliers * pixels.shown                      //
                      + 2.656f * near(pixels.shown, 0.02f)                       //
                      - 1.154f * std::min(0.5f, pixels.lost)                     //
                      + 0.8f * LiesRight(pixels);
  return 1 / (1 + std::exp(-logit));
}

// SAME in no case, however many keypoints agree: where large parts show nothing of one another, as two shirts on one
// carpet do; where parts have another color, as an article of a shop dyed anew does; where what both show is but a
// corner of either, as one floor below two pairs of shoes is; and where parts lie beside where they should, as they do
// in a second shot a moment later.
constexpr float kMostLost = 0.35f, kMostRecolored = 0.12f, kLeastCoverage = 0.25f, kVetoedScore = 0.4f;
constexpr float kMostOfLost = 0.08f;  // what is laid over a picture has colors, too
constexpr float kMostDisplaced = 0.2f;
bool Vetoed(const DuplicateEvidence& evidence) {
  const PixelAgreement& pixels = evidence.pixels;
  return pixels.lost > kMostLost || pixels.recolored > kMostRecolored + std::min(pixels.lost, kMostOfLost) ||
         pixels.displaced > kMostDisplaced ||
         std::max(evidence.query_coverage, evidence.document_coverage) < kLeastCoverage;
}

// Small or soft, with few keypoints or none, but near by the hash, and a picture full of things that all agree.
constexpr float kWholeScore = 0.6f;
bool Whole(const DuplicateEvidence& evidence) {
  const PixelAgreement& pixels = evidence.pixels;
  return evidence.hash_distance.value_or(PdqHash::kBits) <= 40 && pixels.toned >= 0.99f && pixels.blocks >= 45 &&
         ((pixels.agreeing >= 0.95f && pixels.block_correlation >= 0.9f) || pixels.shown >= 0.93f);
}

}  // namespace

std::string_view DuplicateVerdictName(DuplicateVerdict verdict) {
  constexpr std::array<std::string_view, 3> kNames = {"different", "similar", "same"};
  return kNames[static_cast<size_t>(verdict)];
}

Affine TransformOf(Dihedral form, FrameSize query, FrameSize document) {
  const float w = query.width, h = query.height;
  Affine t;
  bool exchanged = false;
  switch (form) {
    case Dihedral::kAsIs:
      break;
    case Dihedral::kRotate90:
      t = {0, 1, 0, -1, 0, w}, exchanged = true;
      break;
    case Dihedral::kRotate180:
      t = {-1, 0, w, 0, -1, h};
      break;
    case Dihedral::kRotate270:
      t = {0, -1, h, 1, 0, 0}, exchanged = true;
      break;
    case Dihedral::kFlipRows:
      t = {1, 0, 0, 0, -1, h};
      break;
    case Dihedral::kFlipColumns:
      t = {-1, 0, w, 0, 1, 0};
      break;
    case Dihedral::kTranspose:
      t = {0, 1, 0, 1, 0, 0}, exchanged = true;
      break;
    case Dihedral::kAntiTranspose:
      t = {0, -1, h, -1, 0, w}, exchanged = true;
      break;
  }
  const float across = document.width / (exchanged ? h : w), down = document.height / (exchanged ? w : h);
  return Affine{across, 0, 0, 0, down, 0}.After(t);
}

std::vector<Alignment> ProposeAlignments(const DuplicateQuery& query, const DuplicateDocument& document,
                                         const VerdictOptions& options) {
  std::vector<Alignment> alignments;
  const FrameSize frame = FrameOf(document.width, document.height);
  Verification as_is = Verify(query.as_is(), document.local, frame, options.verify);
  const Verification mirrored = Verify(query.mirrored(), document.local, frame, options.verify);
  const Verification& best = mirrored.inliers > as_is.inliers ? mirrored : as_is;
  if (best.inliers >= options.fewest_inliers) alignments.push_back(FromKeypoints(best));
  if (query.quality() > 0 && document.hash) {
    const BestForm form = NearestForm(query, document.hash->hash);
    if (form.distance <= options.most_hash_distance) {
      Alignment alignment;
      alignment.transform = TransformOf(form.form, query.frame(), frame);
      alignment.distance = form.distance;
      alignments.push_back(alignment);
    }
  }
  return alignments;
}

float SameScore(const DuplicateEvidence& evidence) {
  if (evidence.pixels.blocks == 0) return 0;
  const float fitted = FittedScore(evidence);
  if (Vetoed(evidence)) return std::min(fitted, kVetoedScore);
  return Whole(evidence) ? std::max(fitted, kWholeScore) : fitted;
}

DuplicateJudgement JudgeDuplicate(const DuplicateQuery& query, const DuplicateDocument& document,
                                  std::span<const Alignment> alignments, const Thumbnail& thumbnail) {
  DuplicateJudgement judgement;
  DuplicateEvidence& evidence = judgement.evidence;
  const FrameSize frame = FrameOf(document.width, document.height);
  if (query.quality() > 0 && document.hash) {
    const BestForm form = NearestForm(query, document.hash->hash);
    evidence.hash_distance = form.distance;
    evidence.hash_form = form.form;
  }
  for (const Alignment& alignment : alignments) {
    if (alignment.inliers == 0) continue;
    evidence.pairs = alignment.pairs;
    evidence.inliers = alignment.inliers;
    evidence.spread = alignment.spread;
    evidence.matched = alignment.matched;
  }
  const Alignment* best = nullptr;
  for (const Alignment& alignment : alignments) {
    DuplicateEvidence candidate = evidence;
    candidate.pixels = ComparePixels(query.thumbnail(), thumbnail, alignment.transform);
    const PixelAgreement& pixels = candidate.pixels;
    const Covered covered = CoverageOf(query.frame(), pixels.transform, frame);
    candidate.query_coverage = covered.query;
    candidate.document_coverage = covered.document;
    const float score = SameScore(candidate);
    if (best != nullptr && score <= judgement.score) continue;
    best = &alignment;
    judgement.score = score;
    evidence = candidate;
    const float query_scale = static_cast<float>(std::max(query.width(), query.height())) / kLocalFrame;
    const float document_scale = static_cast<float>(std::max(document.width, document.height)) / kLocalFrame;
    const Affine& t = pixels.transform;
    evidence.transform = Scaling(document_scale).After(t).After(Scaling(1 / query_scale));
    const auto scaled = [](Polygon polygon, float factor) {
      for (Point& p : polygon) p = {p.x * factor, p.y * factor};
      return polygon;
    };
    evidence.query_region = scaled(covered.query_region, query_scale);
    evidence.document_region = scaled(covered.document_region, document_scale);
    evidence.mirrored = t.determinant() < 0;
    // Of a mirrored picture, the turn after left and right were exchanged.
    const float turn = evidence.mirrored ? std::atan2(-t.c - t.b, t.d - t.a) : std::atan2(t.c - t.b, t.a + t.d);
    evidence.turned = turn * 180 / static_cast<float>(std::numbers::pi);
    evidence.scale = std::sqrt(std::abs(evidence.transform.determinant()));
  }
  if (best == nullptr) return judgement;
  if (judgement.score >= kSameScore) {
    judgement.verdict = DuplicateVerdict::kSame;
  } else if (evidence.inliers >= kSimilarInliers ||
             (evidence.hash_distance && *evidence.hash_distance <= kSimilarHashDistance)) {
    judgement.verdict = DuplicateVerdict::kSimilar;
  }
  return judgement;
}

}  // namespace likeness
