#include "infer/byte_dense.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "infer/share_work.h"
#include "infer/tiles.h"

namespace likeness {
namespace {

constexpr size_t kRun = ByteDenseShape::kRun;
constexpr size_t kSide = 16;  // outputs of a tile
constexpr size_t kWeightBytes = kRun * kSide;
constexpr size_t kRunBytes = kWeightBytes + kSide * sizeof(float);  // weights and scales
// An input is kBase * high + low, both in [-127, 127].
constexpr int32_t kBase = 254;
constexpr float kLargest = 127 * 254 + 126;

float Widened(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

uint16_t Narrowed(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Where the weight of an input lies in its run's tiles.
size_t PlaceInRun(size_t input, size_t output) { return input / 4 * 64 + output * 4 + input % 4; }

void Put(const ByteDenseShape& s, const float* bias, size_t vector, size_t output, float sum, void* to) {
  const float value = s.activation(sum + (bias == nullptr ? 0 : bias[output]));
  if (s.bf16) {
    static_cast<uint16_t*>(to)[vector * s.outputs + output] = Narrowed(value);
  } else {
    static_cast<float*>(to)[vector * s.outputs + output] = value;
  }
}

// What a whole step of the inputs is worth; 0 for a vector of zeros, NaN where one is not finite.
float StepOf(const uint16_t* from, size_t inputs) {
  float most = 0;
  bool finite = true;
  for (size_t i = 0; i < inputs; ++i) {
    const float size = std::abs(Widened(from[i]));
    most = std::max(most, size);
    finite = finite && size <= std::numeric_limits<float>::max();
  }
  return finite ? most / kLargest : std::numeric_limits<float>::quiet_NaN();
}

int32_t Whole(float value, float inverse) { return static_cast<int32_t>(std::nearbyint(value * inverse)); }

}  // namespace

ByteMatrix::ByteMatrix(size_t inputs, size_t outputs, const Row& row)
    : inputs_(inputs), bytes_(NewBytes(outputs / kSide * (inputs / kRun) * kRunBytes)) {
  std::vector<float> floats(inputs);
  for (size_t o = 0; o < outputs; ++o) {
    row(o, floats.data());
    for (size_t run = 0; run < inputs / kRun; ++run) {
      std::byte* const to = bytes_.get() + (o / kSide * (inputs / kRun) + run) * kRunBytes;
      const float* const from = floats.data() + run * kRun;
      float most = 0;
      for (size_t i = 0; i < kRun; ++i) most = std::max(most, std::abs(from[i]));
      const float scale = most / 127, inverse = most > 0 ? 127 / most : 0;
      for (size_t i = 0; i < kRun; ++i) {
        to[PlaceInRun(i, o % kSide)] = static_cast<std::byte>(static_cast<int8_t>(Whole(from[i], inverse)));
      }
      std::memcpy(to + kWeightBytes + o % kSide * sizeof(float), &scale, sizeof(scale));
    }
  }
}

float ByteMatrix::At(size_t output, size_t input) const {
  const std::byte* const run = bytes_.get() + (output / kSide * (inputs_ / kRun) + input / kRun) * kRunBytes;
  float scale;
  std::memcpy(&scale, run + kWeightBytes + output % kSide * sizeof(float), sizeof(scale));
  return scale * static_cast<float>(static_cast<int8_t>(run[PlaceInRun(input % kRun, output % kSide)]));
}

void ByteDensePlain(const ByteDenseShape& s, const uint16_t* from, const ByteMatrix& matrix, const float* bias,
                    void* to) {
  for (size_t v = 0; v < s.vectors; ++v) {
    const uint16_t* const vector = from + v * s.inputs;
    const float step = StepOf(vector, s.inputs), inverse = step > 0 ? 1 / step : 0;
    for (size_t o = 0; o < s.outputs; ++o) {
      double sum = 0;
      for (size_t i = 0; i < s.inputs; ++i) {
        sum += static_cast<double>(matrix.At(o, i)) * Whole(Widened(vector[i]), inverse);
      }
      Put(s, bias, v, o, static_cast<float>(sum) * step, to);
    }
  }
}

#if defined(__x86_64__)
namespace {

// The inputs as bytes: [inputs / 64, vectors, high and low, 64].
LIKENESS_TILES void Split(const ByteDenseShape& s, const uint16_t* from, float* steps, int8_t* to) {
  for (size_t v = 0; v < s.vectors; ++v) {
    const uint16_t* const vector = from + v * s.inputs;
    steps[v] = StepOf(vector, s.inputs);
    const float inverse = steps[v] > 0 ? 1 / steps[v] : 0;
    for (size_t i = 0; i < s.inputs; i += 16) {
      const __m512i bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(vector + i)));
      const __m512 value = _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
      const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(value, _mm512_set1_ps(inverse)));
      const __m512i high = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(whole), _mm512_set1_ps(1.f / kBase)));
      const __m512i low = _mm512_sub_epi32(whole, _mm512_mullo_epi32(high, _mm512_set1_epi32(kBase)));
      int8_t* const line = to + (i / 64 * s.vectors + v) * 128 + i % 64;
      _mm_storeu_si128(reinterpret_cast<__m128i*>(line), _mm512_cvtsepi32_epi8(high));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(line + 64), _mm512_cvtsepi32_epi8(low));
    }
  }
}

// Adds what the products of one run, [vectors, high and low, 16 outputs], are worth.
LIKENESS_TILES inline void AddRun(const int32_t* products, const std::byte* run, size_t vectors, __m512* sums) {
  const __m512 scale = _mm512_load_ps(run + kWeightBytes);
  for (size_t v = 0; v < vectors; ++v) {
    const __m512i high = _mm512_mullo_epi32(_mm512_load_si512(products + v * 32), _mm512_set1_epi32(kBase));
    const __m512i sum = _mm512_add_epi32(high, _mm512_load_si512(products + v * 32 + 16));
    sums[v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, sums[v]);
  }
}

LIKENESS_TILES inline void Prefetch(const std::byte* run) {
  constexpr size_t kAhead = 1024;
  for (size_t i = 0; i < kRunBytes; i += 64) _mm_prefetch(run + kAhead + i, _MM_HINT_T0);
}

// Some of the outputs, of inputs that are split.
LIKENESS_TILES void MultiplyOutputs(const ByteDenseShape& s, const Share& outputs, const int8_t* inputs,
                                    const float* steps, const ByteMatrix& matrix, const float* bias, void* to) {
  TileShapes shapes;
  for (const size_t i : {0, 1, 2, 3, 4, 5}) shapes.rows[i] = static_cast<uint8_t>(2 * s.vectors);
  TakeTiles(shapes);
  Stored();
  alignas(64) int32_t products[2][2 * ByteDenseShape::kMostVectors * kSide];
  const std::byte* run = matrix.data() + outputs.first / kSide * (s.inputs / kRun) * kRunBytes;
  const size_t line = s.vectors * 128;  // of the inputs, for 64 of each vector
  for (size_t output = outputs.first; output < outputs.last; output += kSide) {
    __m512 sums[ByteDenseShape::kMostVectors] = {};
    size_t i = 0;
    // Two runs at once: one is multiplied while the other is added.
    for (; i + 2 * kRun <= s.inputs; i += 2 * kRun, run += 2 * kRunBytes) {
      const int8_t* const at = inputs + i / 64 * line;
      Prefetch(run);
      Prefetch(run + kRunBytes);
      _tile_zero(0);
      _tile_loadd(2, at, 64);
      _tile_loadd(6, run, 64);
      _tile_dpbssd(0, 2, 6);
      _tile_loadd(3, at + line, 64);
      _tile_loadd(7, run + 1024, 64);
      _tile_dpbssd(0, 3, 7);
      _tile_zero(1);
      _tile_loadd(4, at + 2 * line, 64);
      _tile_loadd(6, run + kRunBytes, 64);
      _tile_dpbssd(1, 4, 6);
      _tile_loadd(5, at + 3 * line, 64);
      _tile_loadd(7, run + kRunBytes + 1024, 64);
      _tile_dpbssd(1, 5, 7);
      _tile_stored(0, products[0], 64);
      _tile_stored(1, products[1], 64);
      AddRun(products[0], run, s.vectors, sums);
      AddRun(products[1], run + kRunBytes, s.vectors, sums);
    }
    for (; i < s.inputs; i += kRun, run += kRunBytes) {
      const int8_t* const at = inputs + i / 64 * line;
      _tile_zero(0);
      _tile_loadd(2, at, 64);
      _tile_loadd(6, run, 64);
      _tile_dpbssd(0, 2, 6);
      _tile_loadd(3, at + line, 64);
      _tile_loadd(7, run + 1024, 64);
      _tile_dpbssd(0, 3, 7);
      _tile_stored(0, products[0], 64);
      AddRun(products[0], run, s.vectors, sums);
    }
    for (size_t v = 0; v < s.vectors; ++v) {
      alignas(64) float all[kSide];
      _mm512_store_ps(all, _mm512_mul_ps(sums[v], _mm512_set1_ps(steps[v])));
      for (size_t o = 0; o < kSide; ++o) Put(s, bias, v, output + o, all[o], to);
    }
  }
  ReleaseTiles();
}

}  // namespace

void ByteDense(const ByteDenseShape& s, const uint16_t* from, const ByteMatrix& matrix, const float* bias,
               std::byte* scratch, void* to) {
  auto* const inputs = reinterpret_cast<int8_t*>(scratch);
  float steps[ByteDenseShape::kMostVectors];
  Split(s, from, steps, inputs);
  ShareWork(s.threads, [&](size_t thread) {
    MultiplyOutputs(s, ShareOf(s.outputs, kSide, thread, s.threads), inputs, steps, matrix, bias, to);
  });
}
#else
void ByteDense(const ByteDenseShape& s, const uint16_t* from, const ByteMatrix& matrix, const float* bias, std::byte*,
               void* to) {
  ByteDensePlain(s, from, matrix, bias, to);
}
#endif

}  // namespace likeness
