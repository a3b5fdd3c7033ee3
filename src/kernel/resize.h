// The inner loops of resizing pictures: weighted sums of pixels in whole numbers, down the columns, then along the
// rows; and pixels to the floats that networks take. Every level gives the same bits. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace likeness {

// Weights are whole numbers of 1 / kOne. Those of one output add up to kOne, the sum of their absolute values is at
// most 2 * kOne.
inline constexpr int kTapOne = 1 << 14;

// For each output of one direction, which inputs it sums and with what weights.
class ResizeTaps {
 public:
  // Weights of the inputs [first, first + weights.size()). They are rounded so that they still add up to kTapOne.
  // REQUIRES: not empty; they add up to 1 within rounding
  void Add(uint32_t first, std::span<const double> weights);

  struct Span {
    uint32_t first = 0;
    uint32_t count = 0;
    size_t weights = 0;  // where its weights begin in `weights`
    size_t wide = 0;     // the same in `wide`
  };
  std::span<const Span> spans() const { return spans_; }
  std::span<const int16_t> weights(const Span& span) const {
    return std::span(weights_).subspan(span.weights, span.count);
  }
  // The same for triples: for each two inputs a vector of eight, three times the two weights and two zeros; filled up
  // with zeros to whole groups of eight inputs.
  const int16_t* wide(const Span& span) const { return &wide_[span.wide]; }

 private:
  std::vector<Span> spans_;
  std::vector<int16_t> weights_;
  std::vector<int16_t> wide_;
};

// Sums have six bits behind the point.
inline constexpr int kSumBits = 6;
// How many sums beyond its last a row must have for SumAlong, of any value.
inline constexpr size_t kSumPadding = 32;

// out[i] = sum over r of weights[r] * first[r * stride + i], rounded to kSumBits.
// REQUIRES: every row has out.size() bytes
void SumDown(const uint8_t* first, size_t stride, std::span<const int16_t> weights, std::span<int16_t> out);

// For each span of `taps` the sums of the triples at `row`, which holds triple `row_begin` first, rounded and clipped
// to 0..255. REQUIRES: `row` has all triples that the spans ask for and kSumPadding sums behind them; out.size() is
// three times the number of spans, and one more byte behind it may be written
void SumAlong(const int16_t* row, uint32_t row_begin, const ResizeTaps& taps, uint8_t* out);

// value = (byte - mean[c]) * scale[c] for channel c of the result, which is channel 2 - c of the triples when
// `reversed`. Channel c goes to out + c * plane when plane > 0, else the result is triples again.
struct NormaliseOptions {
  std::array<float, 3> mean = {};
  std::array<float, 3> scale = {1, 1, 1};
  bool reversed = false;
};
void NormaliseTriples(const uint8_t* triples, size_t count, const NormaliseOptions& options, size_t plane, float* out);

}  // namespace likeness
