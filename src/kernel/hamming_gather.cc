#include "kernel/hamming_gather.h"

#include <algorithm>
#include <bit>

#include "kernel/target.h"

#if LIKENESS_X86
#include <immintrin.h>
#endif

namespace likeness {
namespace {

// Lines of memory that are asked for before they are needed.
constexpr size_t kLinesAhead = 24;

void PrefetchRow(const uint64_t* row, size_t words) {
  const char* const from = reinterpret_cast<const char*>(row);
  for (size_t i = 0; i < 8 * words; i += 64) __builtin_prefetch(from + i, 0, 3);
}

// A word of a bitmap with more bits is spread out at one go.
constexpr size_t kFewBits = 4;

size_t RowsAhead(size_t words) { return std::max<size_t>(kLinesAhead / ((words + 7) / 8), 3); }

void GatherScalar(const uint64_t* codes, size_t words, const uint64_t* query, const uint32_t* rows, size_t count,
                  uint16_t* out) {
  const size_t ahead = RowsAhead(words);
  for (size_t r = 0; r < std::min(ahead, count); ++r) PrefetchRow(codes + size_t{rows[r]} * words, words);
  for (size_t r = 0; r < count; ++r) {
    if (r + ahead < count) PrefetchRow(codes + size_t{rows[r + ahead]} * words, words);
    const uint64_t* const code = codes + size_t{rows[r]} * words;
    int bits = 0;
    for (size_t i = 0; i < words; ++i) bits += std::popcount(code[i] ^ query[i]);
    out[r] = static_cast<uint16_t>(bits);
  }
}

size_t AtMostScalar(const uint16_t* distances, size_t count, uint16_t limit, uint32_t* out) {
  size_t found = 0;
  for (size_t i = 0; i < count; ++i) {
    out[found] = static_cast<uint32_t>(i);
    found += distances[i] <= limit ? 1 : 0;
  }
  return found;
}

size_t InBitmapScalar(const uint32_t* rows, size_t count, const uint64_t* bitmap, uint32_t end, uint32_t* out) {
  size_t found = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t row = rows[i];
    if (row >= end) continue;
    out[found] = row;
    found += bitmap[row / 64] >> (row % 64) & 1;
  }
  return found;
}

size_t OfBitmapScalar(const uint64_t* bitmap, size_t count, uint32_t first, uint32_t* out) {
  size_t found = 0;
  for (size_t word = 0; word < count; ++word) {
    for (uint64_t rest = bitmap[word]; rest != 0; rest &= rest - 1) {
      out[found++] = first + static_cast<uint32_t>(64 * word + static_cast<size_t>(std::countr_zero(rest)));
    }
  }
  return found;
}

uint64_t CountScalar(const uint64_t* words, size_t count) {
  uint64_t bits = 0;
  for (size_t i = 0; i < count; ++i) bits += static_cast<uint64_t>(std::popcount(words[i]));
  return bits;
}

#if LIKENESS_X86

LIKENESS_AVX2 void GatherAvx2(const uint64_t* codes, size_t words, const uint64_t* query, const uint32_t* rows,
                              size_t count, uint16_t* out) {
  const size_t ahead = RowsAhead(words);
  for (size_t r = 0; r < std::min(ahead, count); ++r) PrefetchRow(codes + size_t{rows[r]} * words, words);
  for (size_t r = 0; r < count; ++r) {
    if (r + ahead < count) PrefetchRow(codes + size_t{rows[r + ahead]} * words, words);
    const uint64_t* const code = codes + size_t{rows[r]} * words;
    uint64_t bits = 0;
    for (size_t i = 0; i < words; ++i) bits += static_cast<uint64_t>(_mm_popcnt_u64(code[i] ^ query[i]));
    out[r] = static_cast<uint16_t>(bits);
  }
}

constexpr auto& AtMostAvx2 = AtMostScalar;
constexpr auto& InBitmapAvx2 = InBitmapScalar;
constexpr auto& OfBitmapAvx2 = OfBitmapScalar;

LIKENESS_AVX2 uint64_t CountAvx2(const uint64_t* words, size_t count) {
  uint64_t bits = 0;
  for (size_t i = 0; i < count; ++i) bits += static_cast<uint64_t>(_mm_popcnt_u64(words[i]));
  return bits;
}

// Eight rows of 256 bits, two to a register: rows i and i + 4, so that the halves come out in order.
LIKENESS_AVX512 inline __m128i EightOfFour(const uint64_t* codes, __m512i query, const uint32_t* rows) {
  const auto two = [&](size_t a, size_t b) LIKENESS_AVX512 {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + size_t{rows[a]} * 4));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + size_t{rows[b]} * 4));
    const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    return _mm512_popcnt_epi64(_mm512_xor_si512(both, query));
  };
  __m512i sum = _mm512_or_si512(_mm512_or_si512(two(0, 4), _mm512_slli_epi64(two(1, 5), 16)),
                                _mm512_or_si512(_mm512_slli_epi64(two(2, 6), 32), _mm512_slli_epi64(two(3, 7), 48)));
  sum = _mm512_add_epi64(sum, _mm512_permutex_epi64(sum, 0x4E));
  sum = _mm512_add_epi64(sum, _mm512_unpackhi_epi64(sum, sum));
  return _mm_unpacklo_epi64(_mm512_castsi512_si128(sum), _mm512_extracti64x2_epi64(sum, 2));
}

LIKENESS_AVX512 inline uint16_t OneRow(const uint64_t* code, size_t words, const uint64_t* query) {
  __m512i lanes = _mm512_setzero_si512();
  size_t i = 0;
  for (; i + 8 <= words; i += 8) {
    const __m512i bits = _mm512_xor_si512(_mm512_loadu_si512(code + i), _mm512_loadu_si512(query + i));
    lanes = _mm512_add_epi64(lanes, _mm512_popcnt_epi64(bits));
  }
  if (i < words) {
    const auto mask = static_cast<__mmask8>((1u << (words - i)) - 1);
    const __m512i bits =
        _mm512_xor_si512(_mm512_maskz_loadu_epi64(mask, code + i), _mm512_maskz_loadu_epi64(mask, query + i));
    lanes = _mm512_add_epi64(lanes, _mm512_popcnt_epi64(bits));
  }
  return static_cast<uint16_t>(_mm512_reduce_add_epi64(lanes));
}

LIKENESS_AVX512 void GatherAvx512(const uint64_t* codes, size_t words, const uint64_t* query, const uint32_t* rows,
                                  size_t count, uint16_t* out) {
  const size_t ahead = RowsAhead(words);
  for (size_t r = 0; r < std::min(ahead, count); ++r) PrefetchRow(codes + size_t{rows[r]} * words, words);
  size_t r = 0;
  if (words == 4) {
    const __m512i q = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(query)));
    for (; r + 8 <= count; r += 8) {
      for (size_t i = r + ahead; i < std::min(r + ahead + 8, count); ++i) {
        __builtin_prefetch(codes + size_t{rows[i]} * 4, 0, 3);
      }
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + r), EightOfFour(codes, q, rows + r));
    }
  }
  for (; r < count; ++r) {
    if (r + ahead < count) PrefetchRow(codes + size_t{rows[r + ahead]} * words, words);
    out[r] = OneRow(codes + size_t{rows[r]} * words, words, query);
  }
}

LIKENESS_AVX512 size_t AtMostAvx512(const uint16_t* distances, size_t count, uint16_t limit, uint32_t* out) {
  const __m512i most = _mm512_set1_epi16(static_cast<int16_t>(limit));
  size_t found = 0;
  for (size_t i = 0; i < count; i += 32) {
    const __mmask32 there = count - i >= 32 ? ~__mmask32{0} : (__mmask32{1} << (count - i)) - 1;
    uint32_t hits = _mm512_mask_cmple_epu16_mask(there, _mm512_maskz_loadu_epi16(there, distances + i), most);
    for (; hits != 0; hits &= hits - 1)
      out[found++] = static_cast<uint32_t>(i) + static_cast<uint32_t>(std::countr_zero(hits));
  }
  return found;
}

LIKENESS_AVX512 size_t InBitmapAvx512(const uint32_t* rows, size_t count, const uint64_t* bitmap, uint32_t end,
                                      uint32_t* out) {
  const __m512i one = _mm512_set1_epi32(1), low = _mm512_set1_epi32(31);
  const __m512i past = _mm512_set1_epi32(static_cast<int>(end));
  size_t found = 0;
  for (size_t i = 0; i < count; i += 16) {
    __mmask16 there =
        count - i >= 16 ? static_cast<__mmask16>(0xFFFF) : static_cast<__mmask16>((1u << (count - i)) - 1);
    const __m512i row = _mm512_maskz_loadu_epi32(there, rows + i);
    there = _mm512_mask_cmplt_epu32_mask(there, row, past);
    // Little-endian: bit r % 64 of word r / 64 is bit r % 32 of half-word r / 32.
    const __m512i half =
        _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), there, _mm512_srli_epi32(row, 5), bitmap, 4);
    const __m512i bit = _mm512_sllv_epi32(one, _mm512_and_si512(row, low));
    const __mmask16 in = _mm512_mask_test_epi32_mask(there, half, bit);
    _mm512_mask_compressstoreu_epi32(out + found, in, row);
    found += static_cast<size_t>(std::popcount(static_cast<unsigned>(in)));
  }
  return found;
}

LIKENESS_AVX512 size_t OfBitmapAvx512(const uint64_t* bitmap, size_t count, uint32_t first, uint32_t* out) {
  const __m512i numbers = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  size_t found = 0;
  for (size_t word = 0; word < count; ++word) {
    uint64_t rest = bitmap[word];
    const uint32_t base = first + static_cast<uint32_t>(64 * word);
    const auto bits = static_cast<size_t>(std::popcount(rest));
    if (bits <= kFewBits) {
      // Without a branch for each: numbers beyond the last are written over by the next word.
      for (size_t i = 0; i < kFewBits; ++i, rest &= rest - 1) {
        out[found + i] = base + static_cast<uint32_t>(std::countr_zero(rest));
      }
      found += bits;
      continue;
    }
    for (uint32_t part = 0; part < 64; part += 16) {
      const auto in = static_cast<__mmask16>(rest >> part);
      _mm512_mask_compressstoreu_epi32(out + found, in,
                                       _mm512_add_epi32(numbers, _mm512_set1_epi32(static_cast<int>(base + part))));
      found += static_cast<size_t>(std::popcount(static_cast<unsigned>(in)));
    }
  }
  return found;
}

LIKENESS_AVX512 uint64_t CountAvx512(const uint64_t* words, size_t count) {
  __m512i sum = _mm512_setzero_si512();
  for (size_t i = 0; i < count; i += 8) {
    const auto there = static_cast<__mmask8>(count - i >= 8 ? 0xFF : (1u << (count - i)) - 1);
    sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_maskz_loadu_epi64(there, words + i)));
  }
  return static_cast<uint64_t>(_mm512_reduce_add_epi64(sum));
}

#endif

constexpr Versions<void (*)(const uint64_t*, size_t, const uint64_t*, const uint32_t*, size_t, uint16_t*)> kGather
    LIKENESS_VERSIONS(Gather);
constexpr Versions<size_t (*)(const uint16_t*, size_t, uint16_t, uint32_t*)> kAtMost LIKENESS_VERSIONS(AtMost);
constexpr Versions<size_t (*)(const uint32_t*, size_t, const uint64_t*, uint32_t, uint32_t*)> kInBitmap
    LIKENESS_VERSIONS(InBitmap);
constexpr Versions<size_t (*)(const uint64_t*, size_t, uint32_t, uint32_t*)> kOfBitmap LIKENESS_VERSIONS(OfBitmap);
constexpr Versions<uint64_t (*)(const uint64_t*, size_t)> kCount LIKENESS_VERSIONS(Count);

}  // namespace

void HammingGather(CodeRows codes, std::span<const uint64_t> query, std::span<const uint32_t> rows,
                   std::span<uint16_t> out) {
  kGather.Active()(codes.data.data(), codes.words, query.data(), rows.data(), rows.size(), out.data());
}

size_t IndicesAtMost(std::span<const uint16_t> distances, uint16_t limit, std::span<uint32_t> out) {
  return kAtMost.Active()(distances.data(), distances.size(), limit, out.data());
}

size_t RowsInBitmap(std::span<const uint32_t> rows, std::span<const uint64_t> bitmap, std::span<uint32_t> out) {
  const auto end = static_cast<uint32_t>(std::min<size_t>(64 * bitmap.size(), 0xFFFFFFFF));
  return kInBitmap.Active()(rows.data(), rows.size(), bitmap.data(), end, out.data());
}

size_t RowsOfBitmap(std::span<const uint64_t> bitmap, uint32_t first, std::span<uint32_t> out) {
  return kOfBitmap.Active()(bitmap.data(), bitmap.size(), first, out.data());
}

uint64_t CountBits(std::span<const uint64_t> words) { return kCount.Active()(words.data(), words.size()); }

}  // namespace likeness
