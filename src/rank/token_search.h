// Search by visual words: which documents of a shard share keypoints with a picture, in the same layout.
//
// Words match by tf-idf (J. Sivic and A. Zisserman, ICCV 2003), keypoints of one word by Hamming distance of their
// signatures, and documents are ranked by pairs that agree on one turn and one change of scale (H. Jegou, M. Douze,
// C. Schmid, "Hamming Embedding and Weak Geometric Consistency", ECCV 2008, sections 4 and 5). Keypoints that match
// often, in one picture or in many, count less (the same, "On the Burstiness of Visual Elements", CVPR 2009, section
// 3). Plain functions: any thread; one call uses one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "index/doc_set.h"
#include "index/token_index.h"
#include "types/doc_id.h"
#include "types/local_feature.h"

namespace likeness {

struct TokenQuery {
  // Keypoints of a picture, each with one word or, one after another, with several. Those of words that the index does
  // not know match nothing.
  std::span<const LocalFeature> features;
  size_t k = 100;               // hits wanted
  uint32_t most_distance = 22;  // bits between the signatures of a pair, at most
  // Documents that are judged by turn and scale: the best by pairs alone. At least k are.
  size_t refine_least = 1000;
  // Words that more than this share of the documents have are passed over, in (0, 1]. 1 asks them all.
  float most_common = 1;
  const DocSet* allowed = nullptr;  // may be null: every document is allowed
  Deadline deadline = Deadline::Never();
};

// A keypoint of the query and one of the document that have the same word and near signatures.
struct TokenMatch {
  uint32_t query = 0;     // index into TokenQuery::features
  uint32_t distance = 0;  // bits between the signatures
  LocalFeature document;  // as exact as TokenFeature is
};

// A candidate for geometric verification.
struct TokenHit {
  DocId doc;
  float score = 0;  // about a cosine: near 1 for the query itself, 0 for nothing shared; larger is better
  std::vector<TokenMatch> matches;  // by query index
};

// What searches did; add one up over the segments of a snapshot.
struct TokenStats {
  uint64_t lists = 0;         // of the query's words, in the indexes asked
  uint64_t lists_read = 0;    // of those; the rarest words are read first, until the deadline
  uint64_t lists_common = 0;  // of those, passed over as too common
  uint64_t postings = 0;      // read
  uint64_t pairs = 0;         // keypoints near enough
  // Nothing was left out that the query asked for.
  bool complete() const { return lists_read + lists_common == lists; }
};

// The best documents, best first, ties by DocId, at most query.k; documents that share no pair are none. A deadline
// that passes ends it with what the words read so far say, and `stats` tells so; one that has passed already gives
// nothing. Errors: InvalidArgument when `allowed` is not of the index's size, or an option out of range; DataLoss for a
// damaged list; Unavailable.
absl::StatusOr<std::vector<TokenHit>> SearchTokens(const TokenIndex& index, const TokenQuery& query, TokenStats& stats);

}  // namespace likeness
