#include "rank/token_candidates.h"

#include <algorithm>

#include "base/bytes.h"
#include "index/token_index.h"
#include "rank/token_search.h"
#include "rank/verify.h"
#include "types/local_feature.h"

namespace likeness {
namespace {

constexpr uint32_t kByChance = 4;  // keypoints that pictures with nothing in common may have verified
constexpr float kHalf = 10;        // beyond those, that make a signal of one half

// The keypoints of a document that share a word with the query's, each once, in the order that Verify wants.
std::vector<LocalFeature> DocumentSide(const TokenHit& hit) {
  std::vector<LocalFeature> features;
  features.reserve(hit.matches.size());
  for (const TokenMatch& match : hit.matches) features.push_back(match.document);
  const auto order = [](const LocalFeature& f) { return std::tuple(f.word, f.signature, f.x, f.y, f.sigma, f.angle); };
  std::ranges::sort(features, {}, order);
  features.erase(std::ranges::unique(features).begin(), features.end());
  return features;
}

TokenEvidence EvidenceOf(const Verification& verified, FrameSize frame) {
  TokenEvidence evidence{static_cast<uint32_t>(verified.pairs), static_cast<uint32_t>(verified.inliers), {}};
  for (const Point& corner : verified.document_region) {
    evidence.region.push_back(
        {std::clamp(corner.x / frame.width, 0.0f, 1.0f), std::clamp(corner.y / frame.height, 0.0f, 1.0f)});
  }
  return evidence;
}

}  // namespace

float TokenSignal(uint32_t verified) {
  if (verified <= kByChance) return 0;
  const auto beyond = static_cast<float>(verified - kByChance);
  return beyond / (beyond + kHalf);
}

bool AsksTokens(const LeafSegment& leaf, const VisualQuery& query) {
  return query.local && !query.local->rows.empty() && query.weights[Signal::kTokens] != 0 && leaf.tokens != nullptr &&
         leaf.tokens->feature() == query.local->feature;
}

absl::StatusOr<std::vector<TokenCandidate>> FindByTokens(const LeafSegment& leaf, const VisualQuery& query,
                                                         const DocSet* allowed) {
  std::vector<TokenCandidate> found;
  if (!AsksTokens(leaf, query)) return found;
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<LocalFeature> features, UnpackLocals(AsBytes(query.local->rows)));
  TokenQuery tokens;
  tokens.features = features;
  tokens.k = query.token_candidates;
  tokens.refine_least = std::max<size_t>(4 * query.token_candidates, 200);
  tokens.allowed = allowed;
  tokens.deadline = query.deadline;
  TokenStats stats;
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<TokenHit> hits, SearchTokens(*leaf.tokens, tokens, stats));
  const VerifyQuery question(features, FrameOf(query.local->width, query.local->height));
  for (const TokenHit& hit : hits) {
    if (hit.matches.size() <= kByChance) continue;
    const Segment::Size size = leaf.segment->size(hit.doc);
    const FrameSize frame = FrameOf(size.width, size.height);
    const Verification verified = Verify(question, DocumentSide(hit), frame);
    if (TokenSignal(static_cast<uint32_t>(verified.inliers)) == 0) continue;
    found.push_back({hit.doc, EvidenceOf(verified, frame)});
  }
  std::ranges::sort(found, {}, &TokenCandidate::doc);
  return found;
}

}  // namespace likeness
