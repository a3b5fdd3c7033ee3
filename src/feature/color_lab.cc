#include "feature/color_lab.h"

#include <algorithm>
#include <cmath>

#include "kernel/row_sum.h"

namespace likeness {
namespace {

constexpr float kWhite[3] = {0.95047f, 1.0f, 1.08883f};  // D65, X Y Z

double Linear(double value) {
  value /= 255;
  return value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
}

// The cube root of CIE 1976, straight near black.
double Root(double t) { return t > 216.0 / 24389 ? std::cbrt(t) : (24389.0 / 27 * t + 16) / 116; }

// Functions of one number, sampled evenly over [0, end] and read with a straight line between samples.
template <size_t kSamples>
class Table {
 public:
  template <typename Function>
  Table(double end, const Function& function) : scale_(static_cast<float>(kSamples / end)) {
    for (size_t i = 0; i < kSamples + 2; ++i) {
      values_[i] = static_cast<float>(function(end * static_cast<double>(i) / kSamples));
    }
  }
  float operator()(float x) const {
    const float at = std::clamp(x * scale_, 0.0f, static_cast<float>(kSamples));
    const auto i = static_cast<size_t>(at);
    return values_[i] + (at - static_cast<float>(i)) * (values_[i + 1] - values_[i]);
  }

 private:
  float scale_;
  std::array<float, kSamples + 2> values_;
};

// One direction of the averaging: for each result its inputs and how much of each it covers.
struct Spans {
  struct Span {
    uint32_t first = 0;
    std::vector<float> weights;
  };
  std::vector<Span> spans;
};

Spans MakeSpans(uint32_t from, uint32_t to) {
  Spans result;
  const double scale = static_cast<double>(from) / to;
  for (uint32_t i = 0; i < to; ++i) {
    const double begin = i * scale, end = std::min<double>(from, (i + 1) * scale);
    Spans::Span span;
    span.first = std::min(static_cast<uint32_t>(begin), from - 1);
    for (uint32_t x = span.first; x < from && (x < end || span.weights.empty()); ++x) {
      const double covered = std::min<double>(end, x + 1) - std::max<double>(begin, x);
      if (covered > 1e-6 || span.weights.empty()) span.weights.push_back(static_cast<float>(covered / (end - begin)));
    }
    result.spans.push_back(std::move(span));
  }
  return result;
}

}  // namespace

Lab LabOf(float red, float green, float blue) {
  static const Table<1020> linear(255, Linear);
  static const Table<8192> root(1.1, Root);
  const float r = linear(red), g = linear(green), b = linear(blue);
  const float x = root((0.4124564f * r + 0.3575761f * g + 0.1804375f * b) / kWhite[0]);
  const float y = root(0.2126729f * r + 0.7151522f * g + 0.0721750f * b);
  const float z = root((0.0193339f * r + 0.1191920f * g + 0.9503041f * b) / kWhite[2]);
  return {116 * y - 16, 500 * (x - y), 200 * (y - z)};
}

std::array<uint8_t, 3> RgbOf(const Lab& lab) {
  const auto cube = [](double f) { return f * f * f > 216.0 / 24389 ? f * f * f : (116 * f - 16) * 27 / 24389; };
  const double fy = (lab.l + 16.0) / 116;
  const double x = kWhite[0] * cube(fy + lab.a / 500.0), y = cube(fy), z = kWhite[2] * cube(fy - lab.b / 200.0);
  const auto sample = [](double linear) {
    const double value = linear <= 0.0031308 ? 12.92 * linear : 1.055 * std::pow(linear, 1 / 2.4) - 0.055;
    return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 1.0) * 255));
  };
  return {sample(3.2404542 * x - 1.5371385 * y - 0.4985314 * z), sample(-0.9692660 * x + 1.8760108 * y + 0.0415560 * z),
          sample(0.0556434 * x - 0.2040259 * y + 1.0572252 * z)};
}

LabPicture SmallLabPicture(const Pixels& pixels, uint32_t longest) {
  const double scale = std::max(1.0, static_cast<double>(std::max(pixels.width, pixels.height)) / longest);
  const auto side = [&](uint32_t length) { return static_cast<uint32_t>(std::max(1L, std::lround(length / scale))); };
  LabPicture small;
  small.width = side(pixels.width);
  small.height = side(pixels.height);
  small.lab.reserve(size_t{small.width} * small.height);
  const Spans columns = MakeSpans(pixels.width, small.width), rows = MakeSpans(pixels.height, small.height);
  const size_t stride = size_t{pixels.width} * 3;
  std::vector<float> row(stride);
  for (const Spans::Span& span : rows.spans) {
    WeightedRowSum(pixels.rgb.data() + span.first * stride, stride, span.weights, row);
    for (const Spans::Span& column : columns.spans) {
      float rgb[3] = {};
      const float* at = &row[size_t{column.first} * 3];
      for (const float weight : column.weights) {
        for (size_t c = 0; c < 3; ++c) rgb[c] += weight * *at++;
      }
      small.lab.push_back(LabOf(rgb[0], rgb[1], rgb[2]));
    }
  }
  return small;
}

}  // namespace likeness
