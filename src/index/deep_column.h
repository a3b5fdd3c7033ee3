// The deep feature of every document of a segment, as views into the mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "index/graph.h"
#include "types/doc_id.h"

namespace likeness {

// What a deep feature looks like: fixed for one FeatureKey.
struct DeepShape {
  uint32_t code_bits = 0;  // 1..4096
  uint32_t dimension = 0;  // components of the int8 vector, 1..65536

  size_t words() const { return (size_t{code_bits} + 63) / 64; }
  friend bool operator==(const DeepShape&, const DeepShape&) = default;
};

// Valid as long as the segment it came from. Rows are in the order of DocIds. A document without the feature has a row
// of zeros, and its bit in `present` is 0.
// REQUIRES of every DocId: below doc_count
struct DeepColumn {
  DeepShape shape;
  size_t doc_count = 0;
  std::span<const uint64_t> codes;    // [doc_count, shape.words()]
  std::span<const int8_t> vectors;    // [doc_count, shape.dimension]
  std::span<const float> norms;       // [doc_count], Euclidean norm of the vector in its integer units
  std::span<const uint64_t> present;  // bitmap of ceil(doc_count / 64) words, or empty: every document has the feature
  GraphView graph = {};  // over the codes of the documents that have the feature; empty where there is none

  std::span<const uint64_t> code(DocId doc) const { return codes.subspan(doc.value() * shape.words(), shape.words()); }
  std::span<const int8_t> vector(DocId doc) const {
    return vectors.subspan(size_t{doc.value()} * shape.dimension, shape.dimension);
  }
  float norm(DocId doc) const { return norms[doc.value()]; }
  bool has(DocId doc) const { return present.empty() || (present[doc.value() / 64] >> (doc.value() % 64) & 1) != 0; }
};

}  // namespace likeness
