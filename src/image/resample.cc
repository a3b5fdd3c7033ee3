#include "image/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace likeness {
namespace {

// The share of the longer side that kMild keeps at least. docs/decisions/0003-default-model.md has what was measured.
constexpr double kMildVisible = 0.82;

// R. Keys, "Cubic Convolution Interpolation for Digital Image Processing" (1981), a = -1/2.
double Cubic(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

// For each output position the inputs [first, first + count) and their weights, which add up to 1.
struct Taps {
  struct Span {
    uint32_t first;
    uint32_t count;
    size_t weights;  // where its weights begin
  };
  std::vector<Span> spans;
  std::vector<float> weights;
};

// `begin`..`end` is mapped to `size` outputs; inputs outside [low, high) are not looked at.
Taps MakeTaps(double begin, double end, uint32_t low, uint32_t high, uint32_t size) {
  const double scale = (end - begin) / size;
  const double widening = std::max(1.0, scale), support = 2 * widening;
  Taps taps;
  taps.spans.reserve(size);
  std::vector<double> weights;
  for (uint32_t i = 0; i < size; ++i) {
    const double center = begin + (i + 0.5) * scale;
    auto first = static_cast<uint32_t>(std::max<double>(low, std::floor(center - support + 0.5)));
    auto last = static_cast<uint32_t>(std::min<double>(high, std::floor(center + support + 0.5)));
    first = std::min(first, high - 1);
    last = std::max(last, first + 1);
    weights.clear();
    double sum = 0;
    for (uint32_t x = first; x < last; ++x) {
      weights.push_back(Cubic((x + 0.5 - center) / widening));
      sum += weights.back();
    }
    taps.spans.push_back({first, last - first, taps.weights.size()});
    for (const double weight : weights) taps.weights.push_back(static_cast<float>(weight / sum));
  }
  return taps;
}

// out[i] = sum over rows of weights[r] * rows[r][i]. Four rows at a time: the sums stay in the first-level cache.
[[gnu::always_inline]] inline void SumRowsBody(const uint8_t* base, size_t stride, const float* weights, size_t rows,
                                               float* __restrict out, size_t size) {
  for (size_t i = 0; i < size; ++i) out[i] = 0;
  size_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const uint8_t *a = base + r * stride, *b = a + stride, *c = b + stride, *d = c + stride;
    const float wa = weights[r], wb = weights[r + 1], wc = weights[r + 2], wd = weights[r + 3];
    for (size_t i = 0; i < size; ++i) {
      out[i] += (wa * static_cast<float>(static_cast<int>(a[i])) + wb * static_cast<float>(static_cast<int>(b[i]))) +
                (wc * static_cast<float>(static_cast<int>(c[i])) + wd * static_cast<float>(static_cast<int>(d[i])));
    }
  }
  for (; r < rows; ++r) {
    const uint8_t* a = base + r * stride;
    const float wa = weights[r];
    for (size_t i = 0; i < size; ++i) out[i] += wa * static_cast<float>(static_cast<int>(a[i]));
  }
}

void SumRowsPlain(const uint8_t* base, size_t stride, const float* weights, size_t rows, float* out, size_t size) {
  SumRowsBody(base, stride, weights, rows, out, size);
}

#if defined(__x86_64__)
// The same operations in the same order and no fused ones: the same floats.
[[gnu::target("avx2")]] void SumRowsAvx2(const uint8_t* base, size_t stride, const float* weights, size_t rows,
                                         float* out, size_t size) {
  SumRowsBody(base, stride, weights, rows, out, size);
}
#endif

using SumRowsFunction = decltype(&SumRowsPlain);

SumRowsFunction SumRows() {
#if defined(__x86_64__)
  static const SumRowsFunction chosen = __builtin_cpu_supports("avx2") ? SumRowsAvx2 : SumRowsPlain;
  return chosen;
#else
  return SumRowsPlain;
#endif
}

typedef float Lanes __attribute__((vector_size(16)));

Lanes LoadLanes(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

// One row of triples to its final width. `row` has one float behind its last triple that may be read.
void SumColumns(const float* row, uint32_t row_begin, const Taps& taps, uint8_t* out) {
  for (const Taps::Span& span : taps.spans) {
    const float* from = row + static_cast<size_t>(span.first - row_begin) * 3;
    const float* weights = &taps.weights[span.weights];
    Lanes even = {0.5f, 0.5f, 0.5f, 0.5f}, odd = {};
    uint32_t i = 0;
    for (; i + 2 <= span.count; i += 2) {
      even += weights[i] * LoadLanes(from + i * 3);
      odd += weights[i + 1] * LoadLanes(from + i * 3 + 3);
    }
    if (i < span.count) even += weights[i] * LoadLanes(from + i * 3);
    even += odd;
    for (int c = 0; c < 3; ++c) {
      const int value = static_cast<int>(even[c]);
      *out++ = static_cast<uint8_t>(std::clamp(value, 0, 255));
    }
  }
}

struct Box {
  double left, top, right, bottom;
};

// Resizes `box` of the pixels into the `width` x `height` picture at `out`, whose rows are `out_stride` bytes apart.
// Pixels outside [low, high) are not looked at.
void ResizeBox(const Pixels& pixels, const Box& box, const Box& bounds, uint32_t width, uint32_t height, uint8_t* out,
               size_t out_stride) {
  const auto low = [](double v) { return static_cast<uint32_t>(std::floor(v)); };
  const auto high = [](double v) { return static_cast<uint32_t>(std::ceil(v)); };
  const Taps columns = MakeTaps(box.left, box.right, low(bounds.left), high(bounds.right), width);
  const Taps rows = MakeTaps(box.top, box.bottom, low(bounds.top), high(bounds.bottom), height);
  uint32_t begin = columns.spans.front().first, end = 0;
  for (const Taps::Span& span : columns.spans) {
    begin = std::min(begin, span.first);
    end = std::max(end, span.first + span.count);
  }
  const size_t stride = static_cast<size_t>(pixels.width) * 3, used = static_cast<size_t>(end - begin) * 3;
  std::vector<float> row(used + 1);
  for (uint32_t y = 0; y < height; ++y) {
    const Taps::Span& span = rows.spans[y];
    SumRows()(pixels.rgb.data() + span.first * stride + static_cast<size_t>(begin) * 3, stride,
              &rows.weights[span.weights], span.count, row.data(), used);
    SumColumns(row.data(), begin, columns, out + y * out_stride);
  }
}

}  // namespace

absl::StatusOr<Pixels> Resample(const Pixels& pixels, const std::optional<Region>& region,
                                const ResampleOptions& options) {
  if (pixels.rgb.empty() || pixels.rgb.size() != static_cast<size_t>(pixels.width) * pixels.height * 3) {
    return absl::InvalidArgumentError("there are no pixels to resize");
  }
  if (options.width == 0 || options.height == 0) {
    return absl::InvalidArgumentError("a picture cannot be resized to a width or height of 0");
  }
  Box bounds = {0, 0, static_cast<double>(pixels.width), static_cast<double>(pixels.height)};
  if (region) {
    if (!region->Within(static_cast<int32_t>(pixels.full_width), static_cast<int32_t>(pixels.full_height))) {
      return absl::InvalidArgumentError("the region is not within the picture, which is " +
                                        std::to_string(pixels.full_width) + " x " + std::to_string(pixels.full_height) +
                                        " pixels");
    }
    const double x = bounds.right / pixels.full_width, y = bounds.bottom / pixels.full_height;
    bounds = {region->x * x, region->y * y,
              std::min(bounds.right, (static_cast<double>(region->x) + region->width) * x),
              std::min(bounds.bottom, (static_cast<double>(region->y) + region->height) * y)};
  }
  Pixels out;
  out.width = out.full_width = options.width;
  out.height = out.full_height = options.height;
  out.rgb.resize(static_cast<size_t>(out.width) * out.height * 3);
  const size_t stride = static_cast<size_t>(out.width) * 3;

  Box box = bounds;
  if (options.fit == Fit::kMild) {
    const double excess = (box.right - box.left) * out.height / ((box.bottom - box.top) * out.width);
    const double cut = 1 - std::max(std::min(excess, 1 / excess), kMildVisible);
    const double cut_x = excess > 1 ? (box.right - box.left) * cut / 2 : 0;
    const double cut_y = excess < 1 ? (box.bottom - box.top) * cut / 2 : 0;
    box = {box.left + cut_x, box.top + cut_y, box.right - cut_x, box.bottom - cut_y};
  }
  uint32_t width = out.width, height = out.height;
  uint8_t* corner = out.rgb.data();
  const double box_width = box.right - box.left, box_height = box.bottom - box.top;
  if (options.fit == Fit::kCrop) {
    const double scale = std::min(box_width / width, box_height / height);
    const double cut_x = (box_width - scale * width) / 2, cut_y = (box_height - scale * height) / 2;
    box = {box.left + cut_x, box.top + cut_y, box.right - cut_x, box.bottom - cut_y};
  } else if (options.fit == Fit::kPad || options.fit == Fit::kMild) {
    const double scale = std::max(box_width / width, box_height / height);
    width = std::clamp<uint32_t>(static_cast<uint32_t>(std::lround(box_width / scale)), 1, width);
    height = std::clamp<uint32_t>(static_cast<uint32_t>(std::lround(box_height / scale)), 1, height);
    if (width != out.width || height != out.height) {
      for (size_t i = 0; i < out.rgb.size(); ++i) out.rgb[i] = options.padding[i % 3];
    }
    corner += (out.height - height) / 2 * stride + static_cast<size_t>(out.width - width) / 2 * 3;
  }
  ResizeBox(pixels, box, bounds, width, height, corner, stride);
  return out;
}

}  // namespace likeness
