// A feature that is kept as the feature store has it, for every document of a segment, as views into the mapped file.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "types/doc_id.h"

namespace likeness {

// What the values of a plain feature look like: fixed for one FeatureKey.
struct PlainShape {
  uint32_t row_bytes = 0;  // 1..65536
  bool ragged = false;     // any number of rows; otherwise exactly one
  friend bool operator==(const PlainShape&, const PlainShape&) = default;
};

// Valid as long as the segment it came from.
// REQUIRES of every DocId: below doc_count
struct PlainColumn {
  PlainShape shape;
  size_t doc_count = 0;
  std::span<const std::byte> values;  // rows, document after document
  std::span<const uint64_t> ends;     // [doc_count] where the rows of a document end, in rows; empty: one row for each
  std::span<const uint64_t> present;  // bitmap of ceil(doc_count / 64) words, or empty: every document has the feature

  bool has(DocId doc) const { return present.empty() || (present[doc.value() / 64] >> (doc.value() % 64) & 1) != 0; }

  // Nothing for a document without the feature, and for one whose place in a damaged file makes no sense.
  std::span<const std::byte> value(DocId doc) const {
    if (!has(doc)) return {};
    const size_t i = doc.value(), row = shape.row_bytes;
    if (ends.empty()) return values.subspan(i * row, row);
    const uint64_t begin = i == 0 ? 0 : ends[i - 1], end = ends[i];
    if (begin > end || end > values.size() / row) return {};
    return values.subspan(begin * row, (end - begin) * row);
  }
};

}  // namespace likeness
