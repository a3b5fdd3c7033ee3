// The number of a document within one index segment.
#pragma once

#include <compare>
#include <cstdint>

namespace likeness {

// Dense from 0; lives and dies with its segment and means nothing outside it. A type of its own, so that the compiler
// refuses a plain number, and a DocId where an image's Signature is meant.
class DocId {
 public:
  DocId() = default;
  explicit constexpr DocId(uint32_t value) : value_(value) {}
  constexpr uint32_t value() const { return value_; }
  friend constexpr auto operator<=>(DocId, DocId) = default;

 private:
  uint32_t value_ = 0;
};

}  // namespace likeness
