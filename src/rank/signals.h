// The signals of a leaf's candidates, computed from a segment and what lies beside it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "feature/color.h"
#include "index/deep_column.h"
#include "index/metadata.h"
#include "index/nearest.h"
#include "index/plain_column.h"
#include "rank/leaf.h"
#include "rank/query.h"
#include "types/hit.h"

namespace likeness {

// Cosine of two int8 vectors, in [-1, 1]; 0 where either is all zeros. REQUIRES: a.size() == b.size()
float Int8Cosine(std::span<const int8_t> a, float norm_a, std::span<const int8_t> b, float norm_b);

// `value` within [least, 1], and `least` for NaN.
float ClampSignal(float value, float least = -1);

// Cosine of two weighted word lists, in [0, 1]; nothing where either is empty. REQUIRES: sorted by word
std::optional<float> WordsCosine(std::span<const Annotation> a, std::span<const Annotation> b);

// The cosine that two codes stand for: each bit says on which side of a random plane a vector lies. 0 for no bits.
double CodeCosine(uint32_t distance, uint32_t bits);

// How much `pins` pins speak for an image: 0 for none, 1 from a thousand on, by the logarithm.
float EngagementOf(uint32_t pins);

// The PDQ hash of a document, if it has one. `column` may be null.
std::optional<HitTraits::Hash> HashOf(const PlainColumn* column, DocId doc);

// Valid while the leaf and the query are. Any thread.
class SignalReader {
 public:
  // REQUIRES: `column` is that of the query's feature and shape
  SignalReader(const LeafSegment& leaf, const VisualQuery& query, const DeepColumn& column);

  // Signals that the query or the document lacks have no value.
  SignalValues Read(const Neighbor& candidate) const;

 private:
  const LeafSegment& leaf_;
  const VisualQuery& query_;
  const DeepColumn& column_;
  const PlainColumn* color_ = nullptr;  // null: not wanted or not there
  ColorSignature palette_;              // of the query
};

}  // namespace likeness
