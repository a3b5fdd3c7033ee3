// The bytes of a token file, shared by its writer and its reader: docs/formats/tokens.md is the contract.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "types/local_feature.h"

namespace likeness {

static_assert(std::endian::native == std::endian::little, "token files are read as they are, and are little-endian");

inline constexpr uint64_t kTokensMagic = 0x0A1A4B4F54454B4Cu;        // "LKETOK\x1A\n"
inline constexpr uint64_t kTokensFooterMagic = 0x444E454B4F544B4Cu;  // "LKTOKEND"
inline constexpr uint32_t kTokensVersion = 1;
inline constexpr uint32_t kMostTokenWords = 1u << 24;
inline constexpr uint32_t kTokenPartPostings = 4096;  // of one part at most
inline constexpr uint32_t kTokenBlock = 64;           // postings whose documents are coded together
inline constexpr size_t kTokenTablesAlignment = 64;

struct TokensHeader {
  uint64_t magic = kTokensMagic;
  uint32_t version = kTokensVersion;
  uint32_t reserved = 0;
  uint64_t documents = 0;
  uint64_t checksum = 0;  // of the bytes before it
};
static_assert(sizeof(TokensHeader) == 32);

// One part of the list of a word.
struct TokenPartEntry {
  uint64_t offset = 0;    // from the start of the file
  uint64_t checksum = 0;  // of its bytes
  uint32_t word = 0;
  uint32_t postings = 0;   // 1 to kTokenPartPostings
  uint32_t documents = 0;  // that have the word: the same in all parts of the list
  uint32_t bytes = 0;
};
static_assert(sizeof(TokenPartEntry) == 32);

struct TokensFooter {
  uint64_t tables_offset = 0;
  uint64_t tables_checksum = 0;
  uint64_t parts = 0;
  uint64_t postings = 0;
  uint64_t file_length = 0;
  uint32_t version = kTokensVersion;
  uint32_t feature_length = 0;  // bytes of its name
  uint64_t checksum = 0;        // of the bytes before it
  uint64_t magic = kTokensFooterMagic;
};
static_assert(sizeof(TokensFooter) == 64);

constexpr size_t TokenBlocks(size_t postings) { return (postings + kTokenBlock - 1) / kTokenBlock; }

// Bytes of the gaps of one block of `postings` at `width` bits each.
constexpr size_t TokenGapBytes(size_t postings, size_t width) { return ((postings - 1) * width + 7) / 8; }

// Geometry of a posting: x and y in half pixels of the frame, scale in a quarter of a doubling, angle in 1/64 of a
// turn. From the last 6 bytes of a row of docs/formats/local.md.
constexpr uint32_t PackTokenGeometry(uint32_t x16, uint32_t y16, uint32_t scale8, uint32_t angle8) {
  return (x16 >> 6) | (y16 >> 6) << 10 | (scale8 >> 2) << 20 | (angle8 >> 2) << 26;
}
constexpr uint32_t TokenX(uint32_t geometry) { return geometry & 1023; }
constexpr uint32_t TokenY(uint32_t geometry) { return geometry >> 10 & 1023; }
constexpr uint32_t TokenScale(uint32_t geometry) { return geometry >> 20 & 63; }
constexpr uint32_t TokenAngle(uint32_t geometry) { return geometry >> 26; }

// Weight of a word that `having` of `documents` have.
inline float TokenWeight(uint64_t documents, uint64_t having) {
  return static_cast<float>(std::log1p(static_cast<double>(documents) / static_cast<double>(having == 0 ? 1 : having)));
}

}  // namespace likeness
