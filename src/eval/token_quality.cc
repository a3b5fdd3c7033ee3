#include "eval/token_quality.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "eval/processor_time.h"
#include "index/token_index.h"
#include "rank/leaf.h"
#include "rank/token_candidates.h"
#include "rank/verify.h"
#include "types/local_feature.h"

namespace likeness {
namespace {

// Those within the middle quarter of a picture that has the whole frame of its proportions.
std::vector<LocalFeature> InTheMiddle(std::vector<LocalFeature> features, FrameSize frame) {
  std::erase_if(features, [&](const LocalFeature& one) {
    return std::abs(one.x - frame.width / 2) > frame.width / 4 || std::abs(one.y - frame.height / 2) > frame.height / 4;
  });
  return features;
}

struct Best {
  std::optional<Snapshot::Place> place;
  uint32_t verified = 0;
};

absl::StatusOr<Best> Ask(const Snapshot& snapshot, const VisualQuery& query) {
  Best best;
  for (size_t i = 0; i < snapshot.segments().size(); ++i) {
    LIKENESS_ASSIGN_OR_RETURN(const auto found, FindByTokens(LeafSegment(snapshot, i), query, nullptr));
    for (const TokenCandidate& candidate : found) {
      if (candidate.evidence.verified <= best.verified) continue;
      best = {Snapshot::Place{i, candidate.doc}, candidate.evidence.verified};
    }
  }
  return best;
}

}  // namespace

absl::StatusOr<std::optional<TokenQuality>> MeasureTokens(const Snapshot& snapshot, const KeypointRows& rows,
                                                          const TokenQuestion& question) {
  TokenQuality quality;
  std::vector<Snapshot::Place> places;
  const FeatureKey* feature = nullptr;
  double bytes = 0;
  for (size_t i = 0; i < snapshot.segments().size(); ++i) {
    const TokenIndex* const tokens = snapshot.tokens(i);
    if (tokens == nullptr) continue;
    feature = &tokens->feature();
    quality.keypoints += tokens->postings();
    bytes += static_cast<double>(tokens->file_bytes());
    for (uint32_t doc = 0; doc < tokens->doc_count(); ++doc) places.push_back({i, DocId(doc)});
  }
  if (places.empty()) return std::nullopt;
  quality.images = places.size();
  quality.bytes = bytes / static_cast<double>(places.size());
  Random random(question.seed);
  std::vector<double> times;
  size_t own = 0;
  const size_t count = std::min(std::max<size_t>(question.queries, 1), places.size());
  for (size_t i = 0; i < count; ++i) {
    std::swap(places[i], places[i + random.Below(places.size() - i)]);
    const Segment::Size size = snapshot.segments()[places[i].segment]->size(places[i].doc);
    LIKENESS_ASSIGN_OR_RETURN(const auto value, rows(places[i]));
    LIKENESS_ASSIGN_OR_RETURN(std::vector<LocalFeature> features, UnpackLocals(value));
    features = InTheMiddle(std::move(features), FrameOf(size.width, size.height));
    if (features.empty()) continue;
    VisualQuery query;
    query.weights[Signal::kTokens] = 1;
    query.local = LocalValue{*feature, std::string(AsText(PackLocals(features))), size.width, size.height};
    LIKENESS_RETURN_IF_ERROR(Ask(snapshot, query).status());
    const double start = ThreadMilliseconds();
    LIKENESS_ASSIGN_OR_RETURN(const Best best, Ask(snapshot, query));
    times.push_back(ThreadMilliseconds() - start);
    own += best.place == places[i] ? 1 : 0;
  }
  quality.queries = times.size();
  if (times.empty()) return quality;
  quality.found = static_cast<double>(own) / static_cast<double>(times.size());
  quality.p50_ms = Percentile(times, 50);
  quality.p99_ms = Percentile(times, 99);
  return quality;
}

}  // namespace likeness
