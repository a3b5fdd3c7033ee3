#include "rank/leaf.h"

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "kernel/dot.h"
#include "rank/root.h"

namespace likeness {
namespace {

// Cosine of two int8 vectors; 0 where either is all zeros.
float Cosine(std::span<const int8_t> a, float norm_a, std::span<const int8_t> b, float norm_b) {
  if (norm_a <= 0 || norm_b <= 0) return 0;
  const double cosine = static_cast<double>(DotInt8(a, b)) / (static_cast<double>(norm_a) * norm_b);
  return static_cast<float>(std::clamp(cosine, -1.0, 1.0));
}

PlainEvidence Judge(const PlainColumn* column, DocId doc, const PlainWish& wish) {
  PlainEvidence evidence{wish.feature, 0, {}};
  if (column == nullptr || !column->has(doc)) return evidence;
  const std::span<const std::byte> value = column->value(doc);
  evidence.match = std::clamp(wish.match(value), 0.0f, 1.0f);
  evidence.value = AsText(value);
  return evidence;
}

// The documents that meet the wish, of all. The deadline is looked at every so many.
std::vector<Hit> SearchByWish(const Segment& segment, const VisualQuery& query, const DocSet* allowed,
                              SearchStats& stats) {
  constexpr size_t kStep = 2048;
  stats.documents += segment.doc_count();
  const PlainColumn* column = segment.plain(query.wish->feature);
  if (column == nullptr) {
    stats.scanned += segment.doc_count();
    return {};
  }
  std::vector<std::pair<float, uint32_t>> found;  // the match, negated so that the best sort first
  size_t doc = 0;
  for (; doc < segment.doc_count(); ++doc) {
    if (doc % kStep == 0 && doc > 0 && query.deadline.Passed()) break;
    const DocId id(static_cast<uint32_t>(doc));
    if (!column->has(id) || (allowed != nullptr && !allowed->Test(id))) continue;
    const float match = query.wish->match(column->value(id));
    if (match > 0) found.emplace_back(-match, id.value());
  }
  stats.scanned += doc;
  const size_t kept = std::min(query.k, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(kept), found.end());
  std::vector<Hit> hits;
  for (size_t i = 0; i < kept; ++i) {
    const DocId id(found[i].second);
    const Segment::Size size = segment.size(id);
    PlainEvidence evidence = Judge(column, id, *query.wish);
    const Score score{evidence.match};
    hits.push_back({segment.signature(id), size.width, size.height, score, {{}, {}, 0, {}, std::move(evidence)}});
  }
  return hits;
}

}  // namespace

absl::StatusOr<std::vector<Hit>> SearchLeaf(const Segment& segment, const VisualQuery& query, const DocSet* allowed,
                                            SearchStats& stats) {
  LIKENESS_CHECK(query.wish || !query.code.code.empty());
  if (query.code.code.empty()) return SearchByWish(segment, query, allowed, stats);
  const DeepColumn* column = segment.deep(query.feature);
  if (column == nullptr) {
    stats.documents += segment.doc_count();
    stats.scanned += segment.doc_count();
    return std::vector<Hit>();
  }
  if (query.code.vector.size() != column->shape.dimension) {
    return absl::InvalidArgumentError("the query's vector has " + std::to_string(query.code.vector.size()) +
                                      " components, the index's have " + std::to_string(column->shape.dimension));
  }
  NearestOptions options;
  options.k = std::max(query.refine_least, query.refine_factor * query.k);
  if (query.wish) options.k = std::max(options.k, query.wish->refine_least);
  options.allowed = allowed;
  options.deadline = query.deadline;
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Neighbor> candidates,
                            NearestCodes(*column, query.code.code, options, stats));
  const PlainColumn* const plain = query.wish ? segment.plain(query.wish->feature) : nullptr;
  std::vector<Hit> hits;
  hits.reserve(candidates.size());
  for (const Neighbor& candidate : candidates) {
    const Segment::Size size = segment.size(candidate.doc);
    const Score cosine{
        Cosine(query.code.vector, query.code.norm, column->vector(candidate.doc), column->norm(candidate.doc))};
    hits.push_back({segment.signature(candidate.doc),
                    size.width,
                    size.height,
                    cosine,
                    {query.feature, candidate.distance, column->shape.code_bits, cosine}});
    if (!query.wish) continue;
    Hit& hit = hits.back();
    hit.evidence.plain = Judge(plain, candidate.doc, *query.wish);
    const float weight = std::clamp(query.wish->weight, 0.0f, 1.0f);
    hit.score.value = (1 - weight) * cosine.value + weight * hit.evidence.plain->match;
  }
  return MergeHits({&hits, 1}, query.k);
}

}  // namespace likeness
