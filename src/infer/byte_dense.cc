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

#if defined(__x86_64__)
// The largest size in a run, of numbers; 0 where it has none.
float Largest(const float* from) {
  const __m128 sizes = _mm_castsi128_ps(_mm_set1_epi32(0x7fffffff));
  __m128 most = _mm_setzero_ps();
  // Where one of two is no number, the second is given.
  for (size_t i = 0; i < kRun; i += 4) most = _mm_max_ps(_mm_and_ps(_mm_loadu_ps(from + i), sizes), most);
  alignas(16) float lanes[4];
  _mm_store_ps(lanes, most);
  return *std::max_element(lanes, lanes + 4);
}

// Whole of four weights as bytes.
void WholeBytes(const float* from, float inverse, std::byte* to) {
  const __m128i whole = _mm_cvtps_epi32(_mm_mul_ps(_mm_loadu_ps(from), _mm_set1_ps(inverse)));
  const __m128i low = _mm_and_si128(whole, _mm_set1_epi32(0xff)), pairs = _mm_packs_epi32(low, low);
  const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(pairs, pairs));
  std::memcpy(to, &bytes, sizeof(bytes));
}
#else
float Largest(const float* from) {
  float most = 0;
  for (size_t i = 0; i < kRun; ++i) most = std::max(most, std::abs(from[i]));
  return most;
}

void WholeBytes(const float* from, float inverse, std::byte* to) {
  for (size_t i = 0; i < 4; ++i) to[i] = static_cast<std::byte>(static_cast<int8_t>(Whole(from[i], inverse)));
}
#endif

}  // namespace

ByteMatrix::ByteMatrix(size_t inputs, size_t outputs, const Row& row)
    : inputs_(inputs), bytes_(NewBytes(outputs / kSide * (inputs / kRun) * kRunBytes)) {
  const size_t threads = WorkThreads();
  std::vector<float> rows(threads * inputs);
  ShareWork(threads, [&](size_t thread) {
    const Share share = ShareOf(outputs, kSide, thread, threads);
    float* const floats = rows.data() + thread * inputs;
    for (size_t o = share.first; o < share.last; ++o) {
      row(o, floats);
      SetOutput(o, floats);
    }
  });
}

void ByteMatrix::SetOutput(size_t output, const float* floats) {
  for (size_t run = 0; run < inputs_ / kRun; ++run) {
    std::byte* const to = bytes_.get() + (output / kSide * (inputs_ / kRun) + run) * kRunBytes;
    const float* const from = floats + run * kRun;
    const float most = Largest(from), scale = most / 127, inverse = most > 0 ? 127 / most : 0;
    for (size_t i = 0; i < kRun; i += 4) WholeBytes(from + i, inverse, to + PlaceInRun(i, output % kSide));
    std::memcpy(to + kWeightBytes + output % kSide * sizeof(float), &scale, sizeof(scale));
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
  constexpr size_t kAhead = 4096;
  for (size_t i = 0; i < kRunBytes; i += 64) _mm_prefetch(run + kAhead + i, _MM_HINT_T0);
}

// The products of one run with the inputs in tiles 2 and 3, by the weights' tiles 6 and 7 or 4 and 5, so that one run
// is multiplied while another is added.
LIKENESS_TILES inline void MultiplyFirst(const std::byte* run, int32_t* products) {
  _tile_zero(0);
  _tile_loadd(6, run, 64);
  _tile_dpbssd(0, 2, 6);
  _tile_loadd(7, run + 1024, 64);
  _tile_dpbssd(0, 3, 7);
  _tile_stored(0, products, 64);
}
LIKENESS_TILES inline void MultiplySecond(const std::byte* run, int32_t* products) {
  _tile_zero(1);
  _tile_loadd(4, run, 64);
  _tile_dpbssd(1, 2, 4);
  _tile_loadd(5, run + 1024, 64);
  _tile_dpbssd(1, 3, 5);
  _tile_stored(1, products, 64);
}

LIKENESS_TILES void PutOutputs(const ByteDenseShape& s, const __m512* sums, const float* steps, const float* bias,
                               size_t output, void* to) {
  for (size_t v = 0; v < s.vectors; ++v) {
    alignas(64) float all[kSide];
    _mm512_store_ps(all, _mm512_mul_ps(sums[v], _mm512_set1_ps(steps[v])));
    for (size_t o = 0; o < kSide; ++o) Put(s, bias, v, output + o, all[o], to);
  }
}

// Some of the outputs, of inputs that are split. Two places of the matrix are read at once: memory gives more so.
LIKENESS_TILES void MultiplyOutputs(const ByteDenseShape& s, const Share& outputs, const int8_t* inputs,
                                    const float* steps, const ByteMatrix& matrix, const float* bias, void* to) {
  TileShapes shapes;
  for (const size_t i : {0, 1, 2, 3}) shapes.rows[i] = static_cast<uint8_t>(2 * s.vectors);
  TakeTiles(shapes);
  Stored();
  alignas(64) int32_t products[2][2 * ByteDenseShape::kMostVectors * kSide];
  const size_t line = s.vectors * 128;  // of the inputs, for 64 of each vector
  const size_t row = s.inputs / kRun * kRunBytes, count = (outputs.last - outputs.first) / kSide;
  const size_t half = (count + 1) / 2;
  for (size_t i = 0; i < half; ++i) {
    const bool two = i + half < count;
    const size_t output = outputs.first + i * kSide, other = output + half * kSide;
    const std::byte *first = matrix.data() + output / kSide * row, *second = first + (two ? half * row : 0);
    __m512 sums[2][ByteDenseShape::kMostVectors] = {};
    for (size_t at = 0; at < s.inputs / 64; at += 2, first += kRunBytes, second += kRunBytes) {
      _tile_loadd(2, inputs + at * line, 64);
      _tile_loadd(3, inputs + (at + 1) * line, 64);
      Prefetch(first);
      MultiplyFirst(first, products[0]);
      if (two) {
        Prefetch(second);
        MultiplySecond(second, products[1]);
        AddRun(products[1], second, s.vectors, sums[1]);
      }
      AddRun(products[0], first, s.vectors, sums[0]);
    }
    PutOutputs(s, sums[0], steps, bias, output, to);
    if (two) PutOutputs(s, sums[1], steps, bias, other, to);
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
