#include "kernel/byte_rows.h"

#include <algorithm>
#include <cstring>

#include "kernel/target.h"

#if LIKENESS_X86
#include <immintrin.h>
#endif

// With q the query, r a row: |r - q|^2 = |r|^2 - 2 r.q + |q|^2 and r.q = r.(q - 128) + 128 sum(r), where q - 128 fits a
// signed byte, which is what the instructions multiply unsigned bytes with.
namespace likeness {
namespace {

struct Query {
  alignas(64) int8_t values[kMaxByteDimension];  // q - 128
  int32_t squares = 0;                           // |q|^2
};

struct Scan {
  const uint8_t* data;
  const int32_t* offsets;
  size_t dimension;
  size_t first;
  size_t count;
  int32_t bound;
};

size_t RowsWithinScalar(const Scan& scan, const Query& query, NearRow* out) {
  NearRow* const begin = out;
  for (size_t b = scan.first; b < scan.first + scan.count; ++b) {
    const uint8_t* block = scan.data + b * kByteRowsBlock * scan.dimension;
    int32_t products[kByteRowsBlock] = {};
    for (size_t i = 0; i < scan.dimension; i += 4) {
      for (size_t r = 0; r < kByteRowsBlock; ++r) {
        for (size_t j = 0; j < 4; ++j) products[r] += int32_t{*block++} * query.values[i + j];
      }
    }
    for (size_t r = 0; r < kByteRowsBlock; ++r) {
      const int32_t offset = scan.offsets[b * kByteRowsBlock + r];
      if (offset == kNoByteRow) continue;
      const int32_t distance = offset - 2 * products[r] + query.squares;
      if (distance < scan.bound) *out++ = {distance, static_cast<uint32_t>(b * kByteRowsBlock + r)};
    }
  }
  return static_cast<size_t>(out - begin);
}

#if LIKENESS_X86

LIKENESS_AVX2 size_t RowsWithinAvx2(const Scan& scan, const Query& query, NearRow* out) {
  NearRow* const begin = out;
  const __m256i even = _mm256_set1_epi16(0x00FF);
  const __m256i bound = _mm256_set1_epi32(scan.bound), none = _mm256_set1_epi32(kNoByteRow);
  for (size_t b = scan.first; b < scan.first + scan.count; ++b) {
    const uint8_t* block = scan.data + b * kByteRowsBlock * scan.dimension;
    __m256i sum[2][2] = {};
    for (size_t i = 0; i < scan.dimension; i += 4, block += 64) {
      // Elements 0 and 2 of the four as 16-bit numbers, and 1 and 3: the products of pairs fit 32 bits for all values.
      const auto pair = [&](size_t j) {
        const auto low = static_cast<uint16_t>(int16_t{query.values[i + j]});
        const auto high = static_cast<uint16_t>(int16_t{query.values[i + j + 2]});
        return static_cast<int32_t>(uint32_t{high} << 16 | low);
      };
      const __m256i q02 = _mm256_set1_epi32(pair(0)), q13 = _mm256_set1_epi32(pair(1));
      for (size_t h = 0; h < 2; ++h) {
        const __m256i rows = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 32 * h));
        sum[h][0] = _mm256_add_epi32(sum[h][0], _mm256_madd_epi16(_mm256_and_si256(rows, even), q02));
        sum[h][1] = _mm256_add_epi32(sum[h][1], _mm256_madd_epi16(_mm256_srli_epi16(rows, 8), q13));
      }
    }
    for (size_t h = 0; h < 2; ++h) {
      const size_t row = b * kByteRowsBlock + 8 * h;
      const __m256i offset = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(scan.offsets + row));
      const __m256i products = _mm256_add_epi32(sum[h][0], sum[h][1]);
      const __m256i distance =
          _mm256_add_epi32(_mm256_sub_epi32(offset, _mm256_slli_epi32(products, 1)), _mm256_set1_epi32(query.squares));
      const __m256i within = _mm256_andnot_si256(_mm256_cmpeq_epi32(offset, none), _mm256_cmpgt_epi32(bound, distance));
      auto mask = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(within)));
      if (mask == 0) continue;
      alignas(32) int32_t distances[8];
      _mm256_store_si256(reinterpret_cast<__m256i*>(distances), distance);
      for (; mask != 0; mask &= mask - 1) {
        const auto r = static_cast<uint32_t>(__builtin_ctz(mask));
        *out++ = {distances[r], static_cast<uint32_t>(row) + r};
      }
    }
  }
  return static_cast<size_t>(out - begin);
}

// `blocks` neighboring blocks at once, so that elements of the query are read once for all.
template <size_t blocks>
LIKENESS_AVX512 inline NearRow* ScanBlocksAvx512(const Scan& scan, const Query& query, size_t b, NearRow* out) {
  const size_t size = kByteRowsBlock * scan.dimension;
  const uint8_t* block = scan.data + b * size;
  __m512i sum[blocks][2];
  for (auto& sums : sum) sums[0] = sums[1] = _mm512_setzero_si512();
  const auto add = [&](size_t i, size_t chain) LIKENESS_AVX512 {
    int32_t four;
    std::memcpy(&four, query.values + i, sizeof(four));
    const __m512i q = _mm512_set1_epi32(four);
    for (size_t n = 0; n < blocks; ++n) {
      sum[n][chain] = _mm512_dpbusd_epi32(sum[n][chain], _mm512_loadu_si512(block + n * size + i * kByteRowsBlock), q);
    }
  };
  size_t i = 0;
  for (; i + 8 <= scan.dimension; i += 8) {
    add(i, 0);
    add(i + 4, 1);
  }
  if (i < scan.dimension) add(i, 0);
  for (size_t n = 0; n < blocks; ++n) {
    const size_t row = (b + n) * kByteRowsBlock;
    const __m512i offset = _mm512_loadu_si512(scan.offsets + row);
    const __m512i products = _mm512_add_epi32(sum[n][0], sum[n][1]);
    const __m512i distance =
        _mm512_add_epi32(_mm512_sub_epi32(offset, _mm512_slli_epi32(products, 1)), _mm512_set1_epi32(query.squares));
    unsigned mask = _mm512_cmplt_epi32_mask(distance, _mm512_set1_epi32(scan.bound)) &
                    _mm512_cmpneq_epi32_mask(offset, _mm512_set1_epi32(kNoByteRow));
    if (mask == 0) continue;
    alignas(64) int32_t distances[kByteRowsBlock];
    _mm512_store_si512(distances, distance);
    for (; mask != 0; mask &= mask - 1) {
      const auto r = static_cast<uint32_t>(__builtin_ctz(mask));
      *out++ = {distances[r], static_cast<uint32_t>(row) + r};
    }
  }
  return out;
}

LIKENESS_AVX512 size_t RowsWithinAvx512(const Scan& scan, const Query& query, NearRow* out) {
  NearRow* const begin = out;
  const size_t end = scan.first + scan.count;
  size_t b = scan.first;
  for (; b + 4 <= end; b += 4) out = ScanBlocksAvx512<4>(scan, query, b, out);
  for (; b < end; ++b) out = ScanBlocksAvx512<1>(scan, query, b, out);
  return static_cast<size_t>(out - begin);
}

#endif

constexpr Versions<size_t (*)(const Scan&, const Query&, NearRow*)> kRowsWithin LIKENESS_VERSIONS(RowsWithin);

}  // namespace

void ByteRows::Append(std::span<const uint8_t> rows) {
  const size_t count = rows.size() / dimension_;
  for (size_t start = 0; start < count; start += kByteRowsBlock) {
    const size_t at = data_.size();
    data_.resize(at + kByteRowsBlock * dimension_, 0);
    for (size_t r = 0; r < kByteRowsBlock; ++r) {
      if (start + r >= count) {
        offsets_.push_back(kNoByteRow);
        continue;
      }
      const uint8_t* row = rows.data() + (start + r) * dimension_;
      int32_t offset = 0;
      for (size_t i = 0; i < dimension_; ++i) {
        data_[at + (i / 4 * kByteRowsBlock + r) * 4 + i % 4] = row[i];
        offset += int32_t{row[i]} * row[i] - 256 * int32_t{row[i]};
      }
      offsets_.push_back(offset);
    }
  }
}

void ByteRows::Reserve(size_t blocks) {
  data_.reserve(blocks * kByteRowsBlock * dimension_);
  offsets_.reserve(blocks * kByteRowsBlock);
}

size_t RowsWithin(const ByteRows& rows, size_t first, size_t count, std::span<const uint8_t> query, int32_t bound,
                  NearRow* out) {
  Query prepared;
  for (size_t i = 0; i < query.size(); ++i) {
    prepared.values[i] = static_cast<int8_t>(int32_t{query[i]} - 128);
    prepared.squares += int32_t{query[i]} * query[i];
  }
  return kRowsWithin.Active()({rows.data(), rows.offsets(), rows.dimension(), first, count, bound}, prepared, out);
}

}  // namespace likeness
