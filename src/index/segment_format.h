// The bytes of a segment file, shared by its writer and its reader: docs/formats/segment.md is the contract.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace likeness {

static_assert(std::endian::native == std::endian::little, "segments are mapped as they are, and are little-endian");

inline constexpr uint64_t kSegmentMagic = 0x0A1A474553454B4Cu;        // "LKESEG\x1A\n"
inline constexpr uint64_t kSegmentFooterMagic = 0x444E454745534B4Cu;  // "LKSEGEND"
inline constexpr uint32_t kSegmentVersion = 1;
inline constexpr size_t kSegmentAlignment = 64;
inline constexpr uint32_t kMaxSegmentSections = 4096;  // keeps a hostile file from costing more than a moment

inline constexpr std::string_view kSignaturesSection = "signatures";
inline constexpr std::string_view kSizesSection = "sizes";
inline constexpr std::string_view kDeepCodesSection = "deep.codes";
inline constexpr std::string_view kDeepVectorsSection = "deep.vectors";
inline constexpr std::string_view kDeepNormsSection = "deep.norms";
inline constexpr std::string_view kDeepPresentSection = "deep.present";
inline constexpr std::string_view kDeepGraphSection = "deep.graph";

inline constexpr std::string_view kPlainValuesSection = "plain.values";
inline constexpr std::string_view kPlainEndsSection = "plain.ends";
inline constexpr std::string_view kPlainPresentSection = "plain.present";

inline constexpr uint32_t kMaxCodeBits = 4096;
inline constexpr uint32_t kMaxVectorDimension = 65536;
inline constexpr uint32_t kMaxPlainRowBytes = 65536;

struct SegmentHeader {
  uint64_t magic = kSegmentMagic;
  uint32_t version = kSegmentVersion;
  uint32_t reserved = 0;
  uint64_t documents = 0;
  uint64_t checksum = 0;  // of the bytes before it
};
static_assert(sizeof(SegmentHeader) == 32);

struct SegmentFooter {
  uint64_t toc_offset = 0;
  uint64_t toc_length = 0;
  uint64_t toc_checksum = 0;
  uint64_t file_length = 0;
  uint32_t version = kSegmentVersion;
  uint32_t sections = 0;
  uint64_t checksum = 0;  // of the bytes before it
  uint64_t magic = kSegmentFooterMagic;
};
static_assert(sizeof(SegmentFooter) == 56);

// One entry of the table of contents, followed by `name_length` and then `feature_length` bytes of text.
struct SegmentEntry {
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t checksum = 0;
  uint64_t parameter = 0;
  uint16_t name_length = 0;
  uint16_t feature_length = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(SegmentEntry) == 40);

}  // namespace likeness
