// Leave-one-out rankings: every picture of a set asks for all the others.
//
// Three ways to rank the same vectors, each a full order of the set without the query itself, best first:
//
//   RankByCosine   the cosine of float vectors: the truth that compact forms are held against
//   RankByCode     the Hamming distance of binary codes alone
//   RankBySearch   what a search does: candidates by code, refined with int8 vectors, and behind them all that the
//                  search would not have refined, by code
//
// Rows are pictures in ascending order of signature, so that ties by row are ties by signature.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "index/segment.h"
#include "rank/leaf.h"
#include "types/feature_key.h"
#include "types/fingerprint.h"
#include "types/signature.h"

namespace likeness {

// Called once for each query row with all other rows and, beside them, their scores (higher is better; for RankByCode
// and behind the refined candidates: 1 - 2 * distance / bits). Calls come from many threads at once, in any order.
using RankingSink = std::function<void(size_t query, std::span<const uint32_t> rows, std::span<const float> scores)>;

// Vectors of length 1, row after row (zeros stay zeros), with the mean of the set taken off and scaled to 1 again when
// `centred`. REQUIRES: values.size() % dimension == 0
std::vector<float> UnitVectors(std::span<const float> values, size_t dimension, bool centred);

// Cost: n^2 * dimension multiplications and n sorts of n; memory n * 4 bytes for each of 32 queries a thread.
// REQUIRES: `unit` are unit vectors
void RankByCosine(std::span<const float> unit, size_t dimension, size_t threads, const RankingSink& sink);

// Codes and int8 vectors of a set in one sealed segment in memory, searched as a release is searched.
class CodedSet {
 public:
  // REQUIRES: signatures ascend, signatures.size() == codes.size()
  static absl::StatusOr<CodedSet> Create(const FeatureKey& key, std::span<const Signature> signatures,
                                         std::vector<DeepCode> codes, size_t bits);

  const Segment& segment() const { return *segment_; }
  std::shared_ptr<const Segment> shared_segment() const { return segment_; }
  const DeepCode& code(size_t row) const { return codes_[row]; }
  size_t bits() const { return bits_; }

  // What a query of that code asks the leaf: the defaults of a search.
  VisualQuery Query(const DeepCode& code) const;

  // Candidates that a search with the default options refines; fewer where the set is smaller.
  size_t refined() const;

  void RankByCode(size_t threads, const RankingSink& sink) const;
  // Errors: those of SearchLeaf.
  absl::Status RankBySearch(size_t threads, const RankingSink& sink) const;

 private:
  CodedSet() = default;
  FeatureKey key_;
  size_t bits_ = 0;
  std::vector<DeepCode> codes_;
  std::shared_ptr<const Segment> segment_;
};

}  // namespace likeness
