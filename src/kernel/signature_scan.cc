#include "kernel/signature_scan.h"

#include <bit>

#include "kernel/target.h"

#if LIKENESS_X86
#include <immintrin.h>
#endif

namespace likeness {
namespace {

constexpr size_t kBlock = 64;  // signatures of a mask

uint64_t MaskScalar(const uint64_t* signatures, size_t count, uint64_t query, uint32_t limit) {
  uint64_t mask = 0;
  for (size_t i = 0; i < count; ++i) {
    mask |= uint64_t{static_cast<uint32_t>(std::popcount(signatures[i] ^ query)) <= limit} << i;
  }
  return mask;
}

void WithinScalar(const uint64_t* signatures, size_t blocks, uint64_t query, uint32_t limit, uint64_t* masks) {
  for (size_t b = 0; b < blocks; ++b) masks[b] = MaskScalar(signatures + b * kBlock, kBlock, query, limit);
}

#if LIKENESS_X86

LIKENESS_AVX2 void WithinAvx2(const uint64_t* signatures, size_t blocks, uint64_t query, uint32_t limit,
                              uint64_t* masks) {
  const __m256i bits = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_set1_epi8(0x0F), zero = _mm256_setzero_si256();
  const __m256i wanted = _mm256_set1_epi64x(static_cast<int64_t>(query));
  const __m256i beyond = _mm256_set1_epi64x(int64_t{limit});
  for (size_t b = 0; b < blocks; ++b) {
    uint64_t mask = 0;
    for (size_t i = 0; i < kBlock; i += 4, signatures += 4) {
      const __m256i x = _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(signatures)), wanted);
      const __m256i counts = _mm256_add_epi8(_mm256_shuffle_epi8(bits, _mm256_and_si256(x, low)),
                                             _mm256_shuffle_epi8(bits, _mm256_and_si256(_mm256_srli_epi16(x, 4), low)));
      const __m256i over = _mm256_cmpgt_epi64(_mm256_sad_epu8(counts, zero), beyond);
      mask |= static_cast<uint64_t>(~_mm256_movemask_pd(_mm256_castsi256_pd(over)) & 15) << i;
    }
    masks[b] = mask;
  }
}

LIKENESS_AVX512 void WithinAvx512(const uint64_t* signatures, size_t blocks, uint64_t query, uint32_t limit,
                                  uint64_t* masks) {
  const __m512i wanted = _mm512_set1_epi64(static_cast<int64_t>(query));
  const __m512i most = _mm512_set1_epi64(int64_t{limit});
  for (size_t b = 0; b < blocks; ++b) {
    uint64_t mask = 0;
    for (size_t i = 0; i < kBlock; i += 8, signatures += 8) {
      const __m512i x = _mm512_xor_si512(_mm512_loadu_si512(signatures), wanted);
      mask |= uint64_t{_mm512_cmple_epu64_mask(_mm512_popcnt_epi64(x), most)} << i;
    }
    masks[b] = mask;
  }
}

#endif

using Within = void (*)(const uint64_t*, size_t, uint64_t, uint32_t, uint64_t*);
constexpr Versions<Within> kWithin = LIKENESS_VERSIONS(Within);

}  // namespace

void SignaturesWithin(std::span<const uint64_t> signatures, uint64_t query, uint32_t limit, std::span<uint64_t> masks) {
  const size_t blocks = signatures.size() / kBlock, rest = signatures.size() % kBlock;
  kWithin.Active()(signatures.data(), blocks, query, limit, masks.data());
  if (rest != 0) masks[blocks] = MaskScalar(signatures.data() + blocks * kBlock, rest, query, limit);
}

}  // namespace likeness
