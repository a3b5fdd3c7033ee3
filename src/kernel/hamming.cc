#include "kernel/hamming.h"

#include <algorithm>
#include <array>
#include <bit>

#include "kernel/target.h"

#if LIKENESS_X86
#include <immintrin.h>
#endif

// How the wide versions add up. Eight rows are counted at once, each into a register of 64-bit lanes. A distance fits
// 16 bits, so the registers of four rows are packed into one, shifted by 0, 16, 32 and 48 bits, and the lanes of all
// four rows are then added by the same few additions.
namespace likeness {
namespace {

constexpr size_t kChunk = 64;           // rows that share a word of the filter
constexpr size_t kBlock = 32 * kChunk;  // rows whose distances are computed at one go, to stay in the first cache
constexpr int kSparse = 8;              // a chunk with fewer allowed rows than this is looked at row by row

void DistancesScalar(const uint64_t* codes, size_t words, const uint64_t* query, size_t rows, uint16_t* out) {
  for (size_t r = 0; r < rows; ++r, codes += words) {
    int bits = 0;
    for (size_t i = 0; i < words; ++i) bits += std::popcount(codes[i] ^ query[i]);
    out[r] = static_cast<uint16_t>(bits);
  }
}

// Bit i of the result says whether distances[i] <= limit, i in [0, kChunk).
uint64_t AtMostScalar(const uint16_t* distances, uint16_t limit) {
  uint64_t mask = 0;
  for (size_t i = 0; i < kChunk; ++i) mask |= uint64_t{distances[i] <= limit} << i;
  return mask;
}

// Whether any of distances[0, kBlock) is at most `limit`.
bool AnyAtMostScalar(const uint16_t* distances, uint16_t limit) {
  return *std::min_element(distances, distances + kBlock) <= limit;
}

#if LIKENESS_X86

LIKENESS_AVX2 inline __m256i CountBytesAvx2(__m256i v) {
  const __m256i bits = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_set1_epi8(0x0F);
  return _mm256_add_epi8(_mm256_shuffle_epi8(bits, _mm256_and_si256(v, low)),
                         _mm256_shuffle_epi8(bits, _mm256_and_si256(_mm256_srli_epi16(v, 4), low)));
}

// Four lanes that add up to the distance of one row. Bytes hold the counts of up to 16 vectors, at most 128 each.
template <size_t kWords>
LIKENESS_AVX2 inline __m256i CountRowAvx2(const uint64_t* code, size_t runtime_words, const uint64_t* query) {
  const size_t words = kWords != 0 ? kWords : runtime_words;
  __m256i bytes = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + 4 <= words; i += 4) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(code + i));
    const __m256i q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + i));
    bytes = _mm256_add_epi8(bytes, CountBytesAvx2(_mm256_xor_si256(x, q)));
  }
  __m256i lanes = _mm256_sad_epu8(bytes, _mm256_setzero_si256());
  if (words % 4 != 0) {
    uint64_t bits = 0;
    for (; i < words; ++i) bits += static_cast<uint64_t>(_mm_popcnt_u64(code[i] ^ query[i]));
    lanes = _mm256_add_epi64(lanes, _mm256_setr_epi64x(static_cast<int64_t>(bits), 0, 0, 0));
  }
  return lanes;
}

// Asks for memory that a scan which has come to the `size` bytes at `at` needs soon: into the second cache first, which
// can wait for more lines at once, then into the first. Never faults, wherever that is. Raised the scan of 512 bits
// from 61 % of the memory's read bandwidth to 92 %, 256 and 1024 bits to 88 % and 94 % (Xeon, one of two cores).
inline void PrefetchAhead(const uint64_t* at, size_t size) {
  constexpr size_t kNear = 512, kFar = 2048;  // bytes
  const char* const from = reinterpret_cast<const char*>(at);
  for (size_t i = 0; i < size; i += 64) {
    __builtin_prefetch(from + kNear + i, 0, 3);
    __builtin_prefetch(from + kFar + i, 0, 2);
  }
}

// Four rows to four distances.
template <size_t kWords>
LIKENESS_AVX2 inline uint64_t CountFourAvx2(const uint64_t* codes, size_t words, const uint64_t* query) {
  const __m256i a = CountRowAvx2<kWords>(codes, words, query);
  const __m256i b = CountRowAvx2<kWords>(codes + words, words, query);
  const __m256i c = CountRowAvx2<kWords>(codes + 2 * words, words, query);
  const __m256i d = CountRowAvx2<kWords>(codes + 3 * words, words, query);
  const __m256i packed = _mm256_or_si256(_mm256_or_si256(a, _mm256_slli_epi64(b, 16)),
                                         _mm256_or_si256(_mm256_slli_epi64(c, 32), _mm256_slli_epi64(d, 48)));
  const __m128i sum = _mm_add_epi64(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
  return static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_add_epi64(sum, _mm_unpackhi_epi64(sum, sum))));
}

template <size_t kWords>
LIKENESS_AVX2 void DistancesOfAvx2(const uint64_t* codes, size_t runtime_words, const uint64_t* query, size_t rows,
                                   uint16_t* out) {
  const size_t words = kWords != 0 ? kWords : runtime_words;
  size_t r = 0;
  for (; r + 4 <= rows; r += 4, codes += 4 * words) {
    PrefetchAhead(codes, 4 * 8 * words);
    const uint64_t four = CountFourAvx2<kWords>(codes, words, query);
    __builtin_memcpy(out + r, &four, sizeof(four));
  }
  for (; r < rows; ++r, codes += words) {
    uint64_t bits = 0;
    for (size_t i = 0; i < words; ++i) bits += static_cast<uint64_t>(_mm_popcnt_u64(codes[i] ^ query[i]));
    out[r] = static_cast<uint16_t>(bits);
  }
}

void DistancesAvx2(const uint64_t* codes, size_t words, const uint64_t* query, size_t rows, uint16_t* out) {
  switch (words) {
    case 4:
      return DistancesOfAvx2<4>(codes, words, query, rows, out);
    case 8:
      return DistancesOfAvx2<8>(codes, words, query, rows, out);
    case 16:
      return DistancesOfAvx2<16>(codes, words, query, rows, out);
    case 20:
      return DistancesOfAvx2<20>(codes, words, query, rows, out);
    case 64:
      return DistancesOfAvx2<64>(codes, words, query, rows, out);
    default:
      return DistancesOfAvx2<0>(codes, words, query, rows, out);
  }
}

LIKENESS_AVX2 uint64_t AtMostAvx2(const uint16_t* distances, uint16_t limit) {
  const __m256i most = _mm256_set1_epi16(static_cast<int16_t>(limit));
  uint64_t mask = 0;
  for (size_t i = 0; i < kChunk; i += 32) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(distances + i));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(distances + i + 16));
    // Unsigned a <= limit is max(a, limit) == limit. The pack works in halves of the register: put them in order.
    const __m256i packed = _mm256_packs_epi16(_mm256_cmpeq_epi16(_mm256_max_epu16(a, most), most),
                                              _mm256_cmpeq_epi16(_mm256_max_epu16(b, most), most));
    const int bits = _mm256_movemask_epi8(_mm256_permute4x64_epi64(packed, 0xD8));
    mask |= uint64_t{static_cast<uint32_t>(bits)} << i;
  }
  return mask;
}

LIKENESS_AVX2 bool AnyAtMostAvx2(const uint16_t* distances, uint16_t limit) {
  const auto* at = reinterpret_cast<const __m256i*>(distances);
  __m256i least[4] = {_mm256_set1_epi16(-1), _mm256_set1_epi16(-1), _mm256_set1_epi16(-1), _mm256_set1_epi16(-1)};
  for (size_t i = 0; i < kBlock / 16; i += 4, at += 4) {
    for (size_t j = 0; j < 4; ++j) least[j] = _mm256_min_epu16(least[j], _mm256_loadu_si256(at + j));
  }
  const __m256i all = _mm256_min_epu16(_mm256_min_epu16(least[0], least[1]), _mm256_min_epu16(least[2], least[3]));
  const __m256i most = _mm256_set1_epi16(static_cast<int16_t>(limit));
  return _mm256_movemask_epi8(_mm256_cmpeq_epi16(_mm256_max_epu16(all, most), most)) != 0;
}

// Eight lanes that add up to the distance of one row.
template <size_t kWords>
LIKENESS_AVX512 inline __m512i CountRowAvx512(const uint64_t* code, size_t runtime_words, const uint64_t* query) {
  const size_t words = kWords != 0 ? kWords : runtime_words;
  __m512i lanes = _mm512_setzero_si512();
  size_t i = 0;
  for (; i + 8 <= words; i += 8) {
    const __m512i bits = _mm512_xor_si512(_mm512_loadu_si512(code + i), _mm512_loadu_si512(query + i));
    lanes = _mm512_add_epi64(lanes, _mm512_popcnt_epi64(bits));
  }
  if (words % 8 != 0) {
    const auto mask = static_cast<__mmask8>((1u << (words % 8)) - 1);
    const __m512i bits =
        _mm512_xor_si512(_mm512_maskz_loadu_epi64(mask, code + i), _mm512_maskz_loadu_epi64(mask, query + i));
    lanes = _mm512_add_epi64(lanes, _mm512_popcnt_epi64(bits));
  }
  return lanes;
}

template <size_t kWords>
LIKENESS_AVX512 inline __m512i PackFourAvx512(const uint64_t* codes, size_t words, const uint64_t* query) {
  const __m512i a = CountRowAvx512<kWords>(codes, words, query);
  const __m512i b = CountRowAvx512<kWords>(codes + words, words, query);
  const __m512i c = CountRowAvx512<kWords>(codes + 2 * words, words, query);
  const __m512i d = CountRowAvx512<kWords>(codes + 3 * words, words, query);
  return _mm512_or_si512(_mm512_or_si512(a, _mm512_slli_epi64(b, 16)),
                         _mm512_or_si512(_mm512_slli_epi64(c, 32), _mm512_slli_epi64(d, 48)));
}

// Eight rows to eight distances.
template <size_t kWords>
LIKENESS_AVX512 inline __m128i CountEightAvx512(const uint64_t* codes, size_t words, const uint64_t* query) {
  const __m512i a = PackFourAvx512<kWords>(codes, words, query);
  const __m512i b = PackFourAvx512<kWords>(codes + 4 * words, words, query);
  // The lower half of the register goes on with rows 0-3, the upper with rows 4-7.
  __m512i sum = _mm512_add_epi64(_mm512_shuffle_i64x2(a, b, 0x44), _mm512_shuffle_i64x2(a, b, 0xEE));
  sum = _mm512_add_epi64(sum, _mm512_permutex_epi64(sum, 0x4E));
  sum = _mm512_add_epi64(sum, _mm512_unpackhi_epi64(sum, sum));
  return _mm_unpacklo_epi64(_mm512_castsi512_si128(sum), _mm512_extracti64x2_epi64(sum, 2));
}

// The same for short codes, of which one register holds 8 / kWords: kWords registers are packed into one.
template <size_t kWords>
LIKENESS_AVX512 inline __m128i CountEightShortAvx512(const uint64_t* codes, __m512i query, __m512i order) {
  __m512i sum = _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(codes), query));
  for (size_t j = 1; j < kWords; ++j) {
    const __m512i bits = _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(codes + 8 * j), query));
    sum = _mm512_or_si512(sum, _mm512_slli_epi64(bits, static_cast<unsigned>(16 * j)));
  }
  if (kWords == 4) sum = _mm512_add_epi64(sum, _mm512_permutex_epi64(sum, 0x4E));
  if (kWords >= 2) sum = _mm512_add_epi64(sum, _mm512_shuffle_epi32(sum, _MM_PERM_BADC));
  return _mm512_castsi512_si128(_mm512_permutexvar_epi16(order, sum));
}

template <size_t kWords>
LIKENESS_AVX512 void DistancesOfAvx512(const uint64_t* codes, size_t runtime_words, const uint64_t* query, size_t rows,
                                       uint16_t* out) {
  const size_t words = kWords != 0 ? kWords : runtime_words;
  size_t r = 0;
  if constexpr (kWords == 1 || kWords == 2 || kWords == 4) {
    alignas(64) uint64_t repeated[8];
    alignas(64) uint16_t order[32] = {};
    for (size_t i = 0; i < 8; ++i) {
      repeated[i] = query[i % kWords];
      constexpr size_t kRowsOfRegister = 8 / kWords;
      order[i] = static_cast<uint16_t>(4 * kWords * (i % kRowsOfRegister) + i / kRowsOfRegister);
    }
    const __m512i q = _mm512_load_si512(repeated), o = _mm512_load_si512(order);
    for (; r + 8 <= rows; r += 8, codes += 8 * kWords) {
      PrefetchAhead(codes, 8 * 8 * kWords);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + r), CountEightShortAvx512<kWords>(codes, q, o));
    }
  } else {
    for (; r + 8 <= rows; r += 8, codes += 8 * words) {
      PrefetchAhead(codes, 8 * 8 * words);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + r), CountEightAvx512<kWords>(codes, words, query));
    }
  }
  for (; r < rows; ++r, codes += words) {
    out[r] = static_cast<uint16_t>(_mm512_reduce_add_epi64(CountRowAvx512<kWords>(codes, words, query)));
  }
}

void DistancesAvx512(const uint64_t* codes, size_t words, const uint64_t* query, size_t rows, uint16_t* out) {
  switch (words) {
    case 1:
      return DistancesOfAvx512<1>(codes, words, query, rows, out);
    case 2:
      return DistancesOfAvx512<2>(codes, words, query, rows, out);
    case 4:
      return DistancesOfAvx512<4>(codes, words, query, rows, out);
    case 8:
      return DistancesOfAvx512<8>(codes, words, query, rows, out);
    case 16:
      return DistancesOfAvx512<16>(codes, words, query, rows, out);
    case 20:
      return DistancesOfAvx512<20>(codes, words, query, rows, out);
    case 64:
      return DistancesOfAvx512<64>(codes, words, query, rows, out);
    default:
      return DistancesOfAvx512<0>(codes, words, query, rows, out);
  }
}

LIKENESS_AVX512 uint64_t AtMostAvx512(const uint16_t* distances, uint16_t limit) {
  const __m512i most = _mm512_set1_epi16(static_cast<int16_t>(limit));
  const uint64_t low = _mm512_cmple_epu16_mask(_mm512_loadu_si512(distances), most);
  const uint64_t high = _mm512_cmple_epu16_mask(_mm512_loadu_si512(distances + 32), most);
  return low | high << 32;
}

LIKENESS_AVX512 bool AnyAtMostAvx512(const uint16_t* distances, uint16_t limit) {
  __m512i least[4] = {_mm512_set1_epi16(-1), _mm512_set1_epi16(-1), _mm512_set1_epi16(-1), _mm512_set1_epi16(-1)};
  for (size_t i = 0; i < kBlock; i += 128) {
    for (size_t j = 0; j < 4; ++j) least[j] = _mm512_min_epu16(least[j], _mm512_loadu_si512(distances + i + 32 * j));
  }
  const __m512i all = _mm512_min_epu16(_mm512_min_epu16(least[0], least[1]), _mm512_min_epu16(least[2], least[3]));
  return _mm512_cmple_epu16_mask(all, _mm512_set1_epi16(static_cast<int16_t>(limit))) != 0;
}

#endif

constexpr Versions<void (*)(const uint64_t*, size_t, const uint64_t*, size_t, uint16_t*)> kDistances
    LIKENESS_VERSIONS(Distances);
constexpr Versions<uint64_t (*)(const uint16_t*, uint16_t)> kAtMost LIKENESS_VERSIONS(AtMost);
constexpr Versions<bool (*)(const uint16_t*, uint16_t)> kAnyAtMost LIKENESS_VERSIONS(AnyAtMost);

// The largest distance at which `row` or a later row would still be kept; nothing is, where that is below 0.
int64_t LargestKept(const TopK& best, size_t row) {
  return int64_t{RankOf(best.bound())} - (RowOf(best.bound()) > row ? 0 : 1);
}

}  // namespace

uint32_t HammingDistance(std::span<const uint64_t> a, std::span<const uint64_t> b) {
  uint16_t distance = 0;
  kDistances.Active()(a.data(), a.size(), b.data(), 1, &distance);
  return distance;
}

void HammingDistances(CodeRows codes, std::span<const uint64_t> query, std::span<uint16_t> out) {
  kDistances.Active()(codes.data.data(), codes.words, query.data(), codes.rows(), out.data());
}

void HammingNearest(CodeRows codes, std::span<const uint64_t> query, const HammingRange& range, TopK& best) {
  const auto distances_of = kDistances.Active();
  const auto at_most = kAtMost.Active();
  const auto any_at_most = kAnyAtMost.Active();
  const size_t words = codes.words, end = std::min(range.end, codes.rows());
  alignas(64) std::array<uint16_t, kBlock> distances{};
  std::array<uint64_t, kBlock / kChunk> wanted;
  // Chunks start at multiples of kChunk, as the words of the filter do.
  for (size_t block = range.begin / kChunk * kChunk; block < end; block += kBlock) {
    const size_t rows = std::min(kBlock, end - block), chunks = (rows + kChunk - 1) / kChunk;
    // Most blocks have nothing to keep, and are left at once.
    const bool whole = rows == kBlock && block >= range.begin && range.allowed.empty();
    if (whole) {
      const int64_t limit = LargestKept(best, block);
      if (limit < 0) continue;
      distances_of(codes.data.data() + block * words, words, query.data(), rows, distances.data());
      if (!any_at_most(distances.data(), static_cast<uint16_t>(std::min<int64_t>(limit, 0xFFFF)))) continue;
    }
    bool dense = true;
    for (size_t c = 0; c < chunks; ++c) {
      const size_t row = block + c * kChunk;
      wanted[c] = range.allowed.empty() ? ~uint64_t{0} : range.allowed[row / kChunk];
      if (row < range.begin) wanted[c] &= ~uint64_t{0} << (range.begin - row);
      if (end - row < kChunk) wanted[c] &= (uint64_t{1} << (end - row)) - 1;
      dense = dense && std::popcount(wanted[c]) >= kSparse;
    }
    if (dense && !whole) distances_of(codes.data.data() + block * words, words, query.data(), rows, distances.data());
    for (size_t c = 0; c < chunks; ++c) {
      const size_t row = block + c * kChunk;
      const int64_t limit = LargestKept(best, row);
      if (limit < 0 || wanted[c] == 0) continue;
      uint64_t found = wanted[c];
      uint16_t* const chunk = distances.data() + c * kChunk;
      if (dense || std::popcount(found) >= kSparse) {
        if (!dense) {
          const size_t in_chunk = std::min(kChunk, end - row);
          distances_of(codes.data.data() + row * words, words, query.data(), in_chunk, chunk);
        }
        found &= at_most(chunk, static_cast<uint16_t>(std::min<int64_t>(limit, 0xFFFF)));
      } else {
        for (uint64_t rest = found; rest != 0; rest &= rest - 1) {
          const auto i = static_cast<size_t>(std::countr_zero(rest));
          distances_of(codes.data.data() + (row + i) * words, words, query.data(), 1, chunk + i);
        }
      }
      for (; found != 0; found &= found - 1) {
        const auto i = static_cast<size_t>(std::countr_zero(found));
        best.Offer(RankedKey(chunk[i], static_cast<uint32_t>(row + i)));
      }
    }
  }
}

}  // namespace likeness
