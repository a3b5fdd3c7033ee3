#include "kernel/hamming_batch.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "kernel/target.h"

#if LIKENESS_X86
#include <immintrin.h>
#endif

// How the wide versions add up. The rows of a block are turned, so that one register holds the same word of several
// rows and a lane belongs to one row; a word of a query is then compared with all of them at once, and nothing is ever
// added across lanes. Short codes stay in registers while the queries pass by.
namespace likeness {
namespace hamming_batch {
namespace {

size_t CompareScalar(CodeRows codes, const Block& block, CodeRows queries, const int32_t* limits, Found* out) {
  size_t found = 0;
  for (size_t slot = 0; slot < block.count; ++slot) {
    const uint64_t* const code = codes.data.data() + size_t{block.rows[slot]} * codes.words;
    for (size_t q = 0; q < queries.rows(); ++q) {
      int32_t bits = 0;
      for (size_t i = 0; i < codes.words; ++i) bits += std::popcount(code[i] ^ queries.data[q * codes.words + i]);
      if (bits > limits[q]) continue;
      out[found++] = {static_cast<uint32_t>(q), static_cast<uint32_t>(slot), static_cast<uint32_t>(bits)};
    }
  }
  return found;
}

#if LIKENESS_X86

// Word i of the rows in slots [first, first + kRows), one after the other, for every i.
template <size_t kRows>
inline void Turn(CodeRows codes, const Block& block, size_t first, uint64_t* turned) {
  for (size_t r = 0; r < kRows; ++r) {
    const uint64_t* const code = codes.data.data() + size_t{block.rows[first + r]} * codes.words;
    for (size_t i = 0; i < codes.words; ++i) turned[i * kRows + r] = code[i];
  }
}

// Writes the lanes that `mask` has of one query.
template <size_t kRows>
inline size_t Write(unsigned mask, const uint64_t* lanes, size_t query, size_t first, Found* out) {
  size_t found = 0;
  for (; mask != 0; mask &= mask - 1) {
    const auto lane = static_cast<size_t>(std::countr_zero(mask));
    out[found++] = {static_cast<uint32_t>(query), static_cast<uint32_t>(first + lane),
                    static_cast<uint32_t>(lanes[lane])};
  }
  return found;
}

// Bit i of the result says whether slot first + i is filled.
template <size_t kRows>
inline unsigned Filled(const Block& block, size_t first) {
  return block.count >= first + kRows ? (1u << kRows) - 1 : (1u << (block.count - first)) - 1;
}

// One word of eight rows against one of a query.
LIKENESS_AVX512 inline __m512i DifferAvx512(__m512i code, const uint64_t* word) {
  return _mm512_popcnt_epi64(_mm512_xor_si512(code, _mm512_set1_epi64(static_cast<int64_t>(*word))));
}

LIKENESS_AVX512 inline size_t KeepAvx512(__m512i distances, int32_t limit, unsigned filled, size_t query, size_t first,
                                         Found* out) {
  const unsigned mask = _mm512_cmple_epi64_mask(distances, _mm512_set1_epi64(limit));
  if (mask == 0) return 0;
  alignas(64) uint64_t lanes[8];
  _mm512_store_si512(lanes, distances);
  return Write<8>(mask & filled, lanes, query, first, out);
}

template <size_t kWords>
LIKENESS_AVX512 inline size_t CompareShortAvx512(const uint64_t* turned, CodeRows queries, const int32_t* limits,
                                                 unsigned filled, size_t first, Found* out) {
  __m512i codes[kWords];
  for (size_t i = 0; i < kWords; ++i) codes[i] = _mm512_load_si512(turned + 8 * i);
  const uint64_t* query = queries.data.data();
  size_t found = 0;
  for (size_t q = 0; q < queries.rows(); ++q, query += kWords) {
    __m512i sum[2] = {DifferAvx512(codes[0], query), _mm512_setzero_si512()};
    for (size_t i = 1; i < kWords; ++i) sum[i % 2] = _mm512_add_epi64(sum[i % 2], DifferAvx512(codes[i], query + i));
    found += KeepAvx512(_mm512_add_epi64(sum[0], sum[1]), limits[q], filled, q, first, out + found);
  }
  return found;
}

// Four queries at once share what is read of the rows.
LIKENESS_AVX512 inline size_t CompareLongAvx512(const uint64_t* turned, CodeRows queries, const int32_t* limits,
                                                unsigned filled, size_t first, Found* out) {
  const size_t words = queries.words, count = queries.rows();
  size_t found = 0;
  for (size_t begin = 0; begin < count; begin += 4) {
    const uint64_t* query[4];
    for (size_t j = 0; j < 4; ++j) query[j] = queries.data.data() + std::min(begin + j, count - 1) * words;
    __m512i sum[4] = {};
    for (size_t i = 0; i < words; ++i) {
      const __m512i code = _mm512_load_si512(turned + 8 * i);
      for (size_t j = 0; j < 4; ++j) sum[j] = _mm512_add_epi64(sum[j], DifferAvx512(code, query[j] + i));
    }
    for (size_t j = 0; j < std::min<size_t>(4, count - begin); ++j) {
      found += KeepAvx512(sum[j], limits[begin + j], filled, begin + j, first, out + found);
    }
  }
  return found;
}

LIKENESS_AVX512 size_t CompareAvx512(CodeRows codes, const Block& block, CodeRows queries, const int32_t* limits,
                                     Found* out) {
  alignas(64) uint64_t turned[8 * kMaxCodeWords];
  size_t found = 0;
  for (size_t first = 0; first < block.count; first += 8) {
    Turn<8>(codes, block, first, turned);
    const unsigned filled = Filled<8>(block, first);
    const auto compare = codes.words == 1    ? CompareShortAvx512<1>
                         : codes.words == 2  ? CompareShortAvx512<2>
                         : codes.words == 4  ? CompareShortAvx512<4>
                         : codes.words == 8  ? CompareShortAvx512<8>
                         : codes.words == 16 ? CompareShortAvx512<16>
                                             : CompareLongAvx512;
    found += compare(turned, queries, limits, filled, first, out + found);
  }
  return found;
}

LIKENESS_AVX2 size_t CompareFourAvx2(const uint64_t* turned, CodeRows queries, const int32_t* limits, unsigned filled,
                                     size_t first, Found* out) {
  const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                          0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_set1_epi8(0x0F), zero = _mm256_setzero_si256();
  constexpr size_t kRun = 31;  // words whose counts, at most 8 a byte, fit one byte
  const size_t words = queries.words, count = queries.rows();
  const uint64_t* query = queries.data.data();
  size_t found = 0;
  for (size_t q = 0; q < count; ++q, query += words) {
    __m256i distances = zero;
    for (size_t i = 0; i < words;) {
      __m256i bytes = zero;
      for (const size_t end = std::min(words, i + kRun); i < end; ++i) {
        const __m256i code = _mm256_load_si256(reinterpret_cast<const __m256i*>(turned + 4 * i));
        const __m256i differ = _mm256_xor_si256(code, _mm256_set1_epi64x(static_cast<int64_t>(query[i])));
        bytes = _mm256_add_epi8(bytes, _mm256_shuffle_epi8(counts, _mm256_and_si256(differ, low)));
        const __m256i high = _mm256_and_si256(_mm256_srli_epi16(differ, 4), low);
        bytes = _mm256_add_epi8(bytes, _mm256_shuffle_epi8(counts, high));
      }
      distances = _mm256_add_epi64(distances, _mm256_sad_epu8(bytes, zero));
    }
    const __m256i beyond = _mm256_cmpgt_epi64(distances, _mm256_set1_epi64x(limits[q]));
    const unsigned mask = ~static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(beyond))) & 0xF;
    if (mask == 0) continue;
    alignas(32) uint64_t lanes[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), distances);
    found += Write<4>(mask & filled, lanes, q, first, out + found);
  }
  return found;
}

LIKENESS_AVX2 size_t CompareAvx2(CodeRows codes, const Block& block, CodeRows queries, const int32_t* limits,
                                 Found* out) {
  alignas(32) uint64_t turned[4 * kMaxCodeWords];
  size_t found = 0;
  for (size_t first = 0; first < block.count; first += 4) {
    Turn<4>(codes, block, first, turned);
    found += CompareFourAvx2(turned, queries, limits, Filled<4>(block, first), first, out + found);
  }
  return found;
}

#endif

constexpr Versions<Compare> kCompare LIKENESS_VERSIONS(Compare);

// Bytes of queries, spread out, that stay in the second cache beside the rows.
constexpr size_t kGroupBytes = size_t{512} << 10;
// With fewer queries, spreading a row out costs more than comparing it.
constexpr size_t kFewestForTiles = 17;

// The largest distance that is still kept of `row` and later ones, or somewhat more; -1 when none is.
int32_t Limit(const TopK& best, size_t row, size_t words) {
  const int64_t limit = int64_t{RankOf(best.bound())} - (RowOf(best.bound()) > row ? 0 : 1);
  return static_cast<int32_t>(std::min<int64_t>(limit, static_cast<int64_t>(64 * words)));
}

// Goes through the rows of a range in blocks.
class Rows {
 public:
  Rows(CodeRows codes, const HammingRange& range)
      : allowed_(range.allowed), next_(range.begin), end_(std::min(range.end, codes.rows())) {}

  // The next block; false when there is none.
  bool Next(Block& block) {
    block.count = 0;
    while (block.count < kBlock && next_ < end_) {
      if (allowed_.empty()) {
        block.rows[block.count++] = static_cast<uint32_t>(next_++);
        continue;
      }
      const uint64_t rest = allowed_[next_ / 64] >> (next_ % 64);
      if (rest == 0) {
        next_ = (next_ / 64 + 1) * 64;
        continue;
      }
      next_ += static_cast<size_t>(std::countr_zero(rest));
      if (next_ < end_) block.rows[block.count++] = static_cast<uint32_t>(next_++);
    }
    if (block.count == 0) return false;
    for (size_t i = block.count; i < kBlock; ++i) block.rows[i] = block.rows[block.count - 1];
    return true;
  }

 private:
  std::span<const uint64_t> allowed_;
  size_t next_, end_;
};

void Scan(CodeRows codes, CodeRows queries, const HammingRange& range, std::span<TopK> best) {
  std::optional<Tiles> tiles;
  if (ActiveCpuLevel() == CpuLevel::kAmx && queries.rows() >= kFewestForTiles) tiles.emplace(queries);
  const Compare compare = kCompare.Active();
  std::vector<int32_t> limits(queries.rows());
  std::vector<Found> found(kBlock * queries.rows());
  for (size_t q = 0; q < limits.size(); ++q) limits[q] = Limit(best[q], range.begin, codes.words);
  Rows rows(codes, range);
  for (Block block; rows.Next(block);) {
    const size_t count = tiles ? tiles->Compare(codes, block, limits.data(), found.data())
                               : compare(codes, block, queries, limits.data(), found.data());
    for (size_t i = 0; i < count; ++i) {
      const Found& f = found[i];
      best[f.query].Offer(RankedKey(f.distance, block.rows[f.slot]));
      limits[f.query] = Limit(best[f.query], block.rows[0], codes.words);
    }
  }
}

}  // namespace
}  // namespace hamming_batch

void HammingNearestBatch(CodeRows codes, CodeRows queries, const HammingRange& range, std::span<TopK> best) {
  const size_t words = codes.words, count = queries.rows();
  if (count == 1) return HammingNearest(codes, queries.data, range, best[0]);
  const size_t group = hamming_batch::kGroupBytes / (64 * words);
  for (size_t begin = 0; begin < count; begin += group) {
    const size_t size = std::min(group, count - begin);
    hamming_batch::Scan(codes, {queries.data.subspan(begin * words, size * words), words}, range,
                        best.subspan(begin, size));
  }
}

}  // namespace likeness
