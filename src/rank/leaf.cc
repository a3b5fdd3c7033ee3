#include "rank/leaf.h"

#include <algorithm>

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

}  // namespace

absl::StatusOr<std::vector<Hit>> SearchLeaf(const Segment& segment, const VisualQuery& query, const DocSet* allowed,
                                            SearchStats& stats) {
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
  options.allowed = allowed;
  options.deadline = query.deadline;
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Neighbor> candidates,
                            NearestCodes(*column, query.code.code, options, stats));
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
  }
  return MergeHits({&hits, 1}, query.k);
}

}  // namespace likeness
