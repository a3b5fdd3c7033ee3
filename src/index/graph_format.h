// What a graph looks like in a file: docs/formats/segment.md, section deep.graph.
#pragma once

#include <cstddef>
#include <cstdint>

namespace likeness {

inline constexpr uint64_t kGraphMagic = 0x0A1A485052474B4C;  // "LKGRPH", end of file, line feed
inline constexpr uint32_t kGraphVersion = 1;
inline constexpr size_t kGraphAlignment = 64;
inline constexpr uint32_t kMaxGraphDegree = 256;

struct GraphHeader {
  uint64_t magic = kGraphMagic;
  uint32_t version = kGraphVersion;
  uint32_t degree = 0;
  uint64_t documents = 0;
  uint64_t members = 0;
  uint32_t words = 0;
  uint32_t pivots = 0;
  uint32_t has_same = 0;  // 1: there are chains of equal codes
  uint32_t radius = 0;    // GraphView::radius in sixteenths of a bit, rounded
  uint64_t zeros[2] = {};
};
static_assert(sizeof(GraphHeader) == kGraphAlignment);

constexpr uint64_t AlignedForGraph(uint64_t bytes) {
  return (bytes + kGraphAlignment - 1) / kGraphAlignment * kGraphAlignment;
}

}  // namespace likeness
