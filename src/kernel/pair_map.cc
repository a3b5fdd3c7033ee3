#include "kernel/pair_map.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernel/target.h"

#if LIKENESS_X86
#include <immintrin.h>
#endif

namespace likeness {
namespace {

constexpr float kHalfTurn = static_cast<float>(std::numbers::pi);

void MarkFrom(const PointPairs& pairs, const PairMap& map, uint64_t* out, size_t begin) {
  for (size_t i = begin; i < pairs.qx.size(); ++i) {
    const float qx = pairs.qx[i], qy = pairs.qy[i], dx = pairs.dx[i], dy = pairs.dy[i];
    const float x = map.a * qx + map.b * qy + map.left - dx, y = map.c * qx + map.d * qy + map.top - dy;
    const float cx = dx - map.center_x, cy = dy - map.center_y;
    const float may =
        map.factor * (map.base + map.cone * std::sqrt(cx * cx + cy * cy) + map.slack_share * pairs.slack[i]);
    float turn = pairs.turn[i] - map.turn;
    if (turn > kHalfTurn) turn -= 2 * kHalfTurn;
    if (turn < -kHalfTurn) turn += 2 * kHalfTurn;
    const bool explained = x * x + y * y <= may * may && std::abs(turn) <= map.most_turn &&
                           std::abs(pairs.log_scale[i] - map.log_scale) <= map.most_log_scale;
    out[i / 64] |= uint64_t{explained} << (i % 64);
  }
}

void MarkScalar(const PointPairs& pairs, const PairMap& map, uint64_t* out) { MarkFrom(pairs, map, out, 0); }

#if LIKENESS_X86

LIKENESS_AVX2 void MarkAvx2(const PointPairs& pairs, const PairMap& map, uint64_t* out) {
  const auto all = [&](float value) LIKENESS_AVX2 { return _mm256_set1_ps(value); };
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
  size_t i = 0;
  for (; i + 8 <= pairs.qx.size(); i += 8) {
    const __m256 qx = _mm256_loadu_ps(&pairs.qx[i]), qy = _mm256_loadu_ps(&pairs.qy[i]);
    const __m256 dx = _mm256_loadu_ps(&pairs.dx[i]), dy = _mm256_loadu_ps(&pairs.dy[i]);
    const auto off = [&](float by_x, float by_y, float shift, __m256 from) LIKENESS_AVX2 {
      const __m256 sum = _mm256_add_ps(_mm256_mul_ps(all(by_x), qx), _mm256_mul_ps(all(by_y), qy));
      return _mm256_sub_ps(_mm256_add_ps(sum, all(shift)), from);
    };
    const auto squares = [&](__m256 x, __m256 y)
                             LIKENESS_AVX2 { return _mm256_add_ps(_mm256_mul_ps(x, x), _mm256_mul_ps(y, y)); };
    const __m256 error = squares(off(map.a, map.b, map.left, dx), off(map.c, map.d, map.top, dy));
    const __m256 away =
        _mm256_sqrt_ps(squares(_mm256_sub_ps(dx, all(map.center_x)), _mm256_sub_ps(dy, all(map.center_y))));
    const __m256 slack = _mm256_mul_ps(all(map.slack_share), _mm256_loadu_ps(&pairs.slack[i]));
    const __m256 may = _mm256_mul_ps(
        all(map.factor), _mm256_add_ps(_mm256_add_ps(all(map.base), _mm256_mul_ps(all(map.cone), away)), slack));
    __m256 turn = _mm256_sub_ps(_mm256_loadu_ps(&pairs.turn[i]), all(map.turn));
    turn = _mm256_sub_ps(turn, _mm256_and_ps(_mm256_cmp_ps(turn, all(kHalfTurn), _CMP_GT_OQ), all(2 * kHalfTurn)));
    turn = _mm256_add_ps(turn, _mm256_and_ps(_mm256_cmp_ps(turn, all(-kHalfTurn), _CMP_LT_OQ), all(2 * kHalfTurn)));
    const __m256 scale = _mm256_sub_ps(_mm256_loadu_ps(&pairs.log_scale[i]), all(map.log_scale));
    const __m256 near = _mm256_cmp_ps(error, _mm256_mul_ps(may, may), _CMP_LE_OQ);
    const __m256 turned = _mm256_cmp_ps(_mm256_and_ps(turn, magnitude), all(map.most_turn), _CMP_LE_OQ);
    const __m256 scaled = _mm256_cmp_ps(_mm256_and_ps(scale, magnitude), all(map.most_log_scale), _CMP_LE_OQ);
    const auto bits = static_cast<uint32_t>(_mm256_movemask_ps(_mm256_and_ps(near, _mm256_and_ps(turned, scaled))));
    out[i / 64] |= uint64_t{bits} << (i % 64);
  }
  MarkFrom(pairs, map, out, i);
}

LIKENESS_AVX512 void MarkAvx512(const PointPairs& pairs, const PairMap& map, uint64_t* out) {
  const auto all = [&](float value) LIKENESS_AVX512 { return _mm512_set1_ps(value); };
  size_t i = 0;
  for (; i + 16 <= pairs.qx.size(); i += 16) {
    const __m512 qx = _mm512_loadu_ps(&pairs.qx[i]), qy = _mm512_loadu_ps(&pairs.qy[i]);
    const __m512 dx = _mm512_loadu_ps(&pairs.dx[i]), dy = _mm512_loadu_ps(&pairs.dy[i]);
    const auto off = [&](float by_x, float by_y, float shift, __m512 from) LIKENESS_AVX512 {
      const __m512 sum = _mm512_add_ps(_mm512_mul_ps(all(by_x), qx), _mm512_mul_ps(all(by_y), qy));
      return _mm512_sub_ps(_mm512_add_ps(sum, all(shift)), from);
    };
    const auto squares = [&](__m512 x, __m512 y)
                             LIKENESS_AVX512 { return _mm512_add_ps(_mm512_mul_ps(x, x), _mm512_mul_ps(y, y)); };
    const __m512 error = squares(off(map.a, map.b, map.left, dx), off(map.c, map.d, map.top, dy));
    const __m512 away =
        _mm512_sqrt_ps(squares(_mm512_sub_ps(dx, all(map.center_x)), _mm512_sub_ps(dy, all(map.center_y))));
    const __m512 slack = _mm512_mul_ps(all(map.slack_share), _mm512_loadu_ps(&pairs.slack[i]));
    const __m512 may = _mm512_mul_ps(
        all(map.factor), _mm512_add_ps(_mm512_add_ps(all(map.base), _mm512_mul_ps(all(map.cone), away)), slack));
    __m512 turn = _mm512_sub_ps(_mm512_loadu_ps(&pairs.turn[i]), all(map.turn));
    turn = _mm512_mask_sub_ps(turn, _mm512_cmp_ps_mask(turn, all(kHalfTurn), _CMP_GT_OQ), turn, all(2 * kHalfTurn));
    turn = _mm512_mask_add_ps(turn, _mm512_cmp_ps_mask(turn, all(-kHalfTurn), _CMP_LT_OQ), turn, all(2 * kHalfTurn));
    const __m512 scale = _mm512_sub_ps(_mm512_loadu_ps(&pairs.log_scale[i]), all(map.log_scale));
    __mmask16 bits = _mm512_cmp_ps_mask(error, _mm512_mul_ps(may, may), _CMP_LE_OQ);
    bits = _mm512_mask_cmp_ps_mask(bits, _mm512_abs_ps(turn), all(map.most_turn), _CMP_LE_OQ);
    bits = _mm512_mask_cmp_ps_mask(bits, _mm512_abs_ps(scale), all(map.most_log_scale), _CMP_LE_OQ);
    out[i / 64] |= uint64_t{bits} << (i % 64);
  }
  MarkFrom(pairs, map, out, i);
}

#endif

constexpr Versions<void (*)(const PointPairs&, const PairMap&, uint64_t*)> kMark LIKENESS_VERSIONS(Mark);

}  // namespace

void MarkExplained(const PointPairs& pairs, const PairMap& map, std::span<uint64_t> out) {
  std::ranges::fill(out, 0);
  kMark.Active()(pairs, map, out.data());
}

}  // namespace likeness
