#include "product/token_words.h"

#include <algorithm>

#include "base/log.h"
#include "rank/token_search.h"

namespace likeness {

std::vector<WordCandidate> TokenWords::Find(const VerifyQuery& query, size_t most) const {
  // The words of a keypoint one after another.
  std::vector<VerifyQuery::Row> rows(query.rows().begin(), query.rows().end());
  std::ranges::stable_sort(rows, {}, &VerifyQuery::Row::keypoint);
  std::vector<LocalFeature> features;
  features.reserve(rows.size());
  for (const VerifyQuery::Row& row : rows) {
    const VerifyQuery::Keypoint& keypoint = query.keypoints()[row.keypoint];
    features.push_back({row.word, row.signature, keypoint.x, keypoint.y, keypoint.sigma, keypoint.angle});
  }
  TokenQuery tokens;
  tokens.features = features;
  tokens.k = most;
  tokens.refine_least = options_.refine_least;
  tokens.most_common = options_.most_common;
  std::vector<WordCandidate> found;
  for (const Shard& shard : shards_) {
    if (shard.index == nullptr) continue;
    TokenStats stats;
    const absl::StatusOr<std::vector<TokenHit>> hits = SearchTokens(*shard.index, tokens, stats);
    if (!hits.ok()) {
      Log(LogLevel::kWarning, "token_index_unread", {{"reason", MessageOf(hits.status())}});
      continue;
    }
    for (const TokenHit& hit : *hits) found.push_back({shard.first + hit.doc.value(), hit.score});
  }
  const auto better = [](const WordCandidate& a, const WordCandidate& b) {
    return a.score != b.score ? a.score > b.score : a.document < b.document;
  };
  std::ranges::sort(found, better);
  if (found.size() > most) found.resize(most);
  return found;
}

}  // namespace likeness
