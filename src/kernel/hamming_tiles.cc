#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/status.h"
#include "kernel/hamming_batch.h"
#include "kernel/target.h"

#if LIKENESS_X86
#include <immintrin.h>
#endif

// Distances as products of matrices. A row's bits become the bytes 0 and -1, a query's -1 and 1 for 0 and 1; the
// product of the two is then the distance less the number of bits set in the query:
//
//   row query  product  differ - query's bit
//    0    0       0              0
//    0    1       0              0
//    1    0       1              1
//    1    1      -1             -1
//
// A tile holds 64 bits of 16 rows, or of 16 queries four bits a line as the instruction wants them, and two tiles of
// each make four tiles of products. The smallest product of each query over the 32 rows tells whether any row is
// wanted.
namespace likeness::hamming_batch {

#if LIKENESS_X86
namespace {

constexpr size_t kSide = 16;       // rows, or queries, of a tile
constexpr size_t kTileBytes = 64;  // of one line

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// The compiler does not know that tiles are read from memory: what was stored before must be there.
inline void Stored() { asm volatile("" ::: "memory"); }

LIKENESS_AMX void TakeTiles() {
  static constexpr TileConfig kConfig;  // in memory for good: the compiler believes that eight bytes of it are read
  _tile_loadconfig(&kConfig);
}

LIKENESS_AMX void ReleaseTiles() { _tile_release(); }

// Adds the products of `words` words of 32 rows and 32 queries to `products`, or starts with them:
// [2 halves of the rows, 2 halves of the queries, 16 rows, 16 queries].
LIKENESS_AMX inline void Multiply(const void* rows, const void* queries, size_t words, bool start, int32_t* products) {
  constexpr size_t kTile = kSide * kTileBytes;
  const auto* r = static_cast<const int8_t*>(rows);
  const auto* q = static_cast<const int8_t*>(queries);
  if (start) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, products, kTileBytes);
    _tile_loadd(1, products + 256, kTileBytes);
    _tile_loadd(2, products + 512, kTileBytes);
    _tile_loadd(3, products + 768, kTileBytes);
  }
  for (size_t i = 0; i < words; ++i, r += 2 * kTile, q += 2 * kTile) {
    _tile_loadd(4, r, kTileBytes);
    _tile_loadd(6, q, kTileBytes);
    _tile_loadd(5, r + kTile, kTileBytes);
    _tile_loadd(7, q + kTile, kTileBytes);
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  _tile_stored(0, products, kTileBytes);
  _tile_stored(1, products + 256, kTileBytes);
  _tile_stored(2, products + 512, kTileBytes);
  _tile_stored(3, products + 768, kTileBytes);
}

}  // namespace

Tiles::Tiles(CodeRows queries) : queries_(queries.rows()), words_(queries.words) {
  const size_t pairs = (queries_ + 2 * kSide - 1) / (2 * kSide);
  spread_queries_.resize(pairs * words_ * 2 * kSide);
  products_.resize(pairs);
  bits_.resize(pairs * 2 * kSide);
  std::memset(spread_queries_.data(), 0, spread_queries_.size() * sizeof(Line));
  for (size_t q = 0; q < queries_; ++q) {
    const size_t pair = q / (2 * kSide), half = q / kSide % 2, column = q % kSide;
    for (size_t i = 0; i < words_; ++i) {
      const uint64_t word = queries.data[q * words_ + i];
      bits_[q] += std::popcount(word);
      Line* const tile = &spread_queries_[((pair * words_ + i) * 2 + half) * kSide];
      for (size_t b = 0; b < 64; ++b) tile[b / 4].bytes[4 * column + b % 4] = (word >> b & 1) != 0 ? 1 : -1;
    }
  }
  TakeTiles();
}

Tiles::~Tiles() { ReleaseTiles(); }

LIKENESS_AMX size_t Tiles::Compare(CodeRows codes, const Block& block, const int32_t* limits, Found* out) {
  const bool in_order = block.rows[kBlock - 1] - block.rows[0] == kBlock - 1;
  // A part of the words at a time: its rows stay in the first cache while all queries pass by.
  for (size_t word = 0; word < words_; word += kPart) {
    const size_t part = std::min(kPart, words_ - word);
    for (size_t slot = 0; slot < kBlock; ++slot) {
      const uint64_t* const code = codes.data.data() + size_t{block.rows[slot]} * words_ + word;
      if (in_order) __builtin_prefetch(code + kBlock * words_);
      for (size_t i = 0; i < part; ++i) _mm512_store_si512(&rows_[i * kBlock + slot], _mm512_movm_epi8(code[i]));
    }
    Stored();
    for (size_t first = 0; first < queries_; first += 2 * kSide) {
      Multiply(rows_, &spread_queries_[first * words_ + word * 2 * kSide], part, word == 0,
               &products_[first / (2 * kSide)].of[0][0][0]);
    }
  }
  size_t found = 0;
  for (size_t begin = 0; begin < queries_; begin += kSide) {
    const Products& products = products_[begin / (2 * kSide)];
    const int32_t* const upper = products.of[0][begin / kSide % 2];
    const int32_t* const lower = products.of[1][begin / kSide % 2];
    __m512i least[2] = {_mm512_load_si512(upper), _mm512_load_si512(lower)};
    for (size_t i = 1; i < kSide; ++i) {
      least[0] = _mm512_min_epi32(least[0], _mm512_load_si512(upper + i * kSide));
      least[1] = _mm512_min_epi32(least[1], _mm512_load_si512(lower + i * kSide));
    }
    const auto filled = static_cast<__mmask16>(queries_ - begin >= kSide ? 0xFFFF : (1u << (queries_ - begin)) - 1);
    const __m512i bits = _mm512_loadu_si512(&bits_[begin]);
    const __m512i most = _mm512_sub_epi32(_mm512_maskz_loadu_epi32(filled, limits + begin), bits);
    unsigned hit = _mm512_mask_cmple_epi32_mask(filled, _mm512_min_epi32(least[0], least[1]), most);
    for (; hit != 0; hit &= hit - 1) {
      const auto column = static_cast<size_t>(std::countr_zero(hit));
      const size_t query = begin + column;
      for (size_t slot = 0; slot < block.count; ++slot) {
        const int32_t* const half = slot < kSide ? upper : lower;
        const int32_t distance = half[slot % kSide * kSide + column] + bits_[query];
        if (distance > limits[query]) continue;
        out[found++] = {static_cast<uint32_t>(query), static_cast<uint32_t>(slot), static_cast<uint32_t>(distance)};
      }
    }
  }
  return found;
}

#else

Tiles::Tiles(CodeRows queries) : queries_(queries.rows()), words_(queries.words) { LIKENESS_CHECK(false); }
Tiles::~Tiles() = default;
size_t Tiles::Compare(CodeRows, const Block&, const int32_t*, Found*) { return 0; }

#endif

}  // namespace likeness::hamming_batch
