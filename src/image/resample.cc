#include "image/resample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernel/resize.h"

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

// `begin`..`end` is mapped to `size` outputs; inputs outside [low, high) are not looked at.
ResizeTaps MakeTaps(double begin, double end, uint32_t low, uint32_t high, uint32_t size) {
  const double scale = (end - begin) / size;
  const double widening = std::max(1.0, scale), support = 2 * widening;
  ResizeTaps taps;
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
    for (double& weight : weights) weight /= sum;
    taps.Add(first, weights);
  }
  return taps;
}

struct Box {
  double left, top, right, bottom;
};

// Where a picture goes in its frame: `box` of the pixels, of which only those within `bounds` are looked at, becomes
// `width` x `height` at `left`, `top` of the result. All around is padding.
struct Placement {
  Box box, bounds;
  uint32_t left = 0, top = 0, width = 0, height = 0;
};

// Rows as they are needed again and again on one thread.
struct RowBuffers {
  std::vector<int16_t> sums;
  std::vector<uint8_t> row;
};

// Calls `sink` with the number and the triples of each row of the result, from the first to the last. The triples have
// one byte behind them that may be read.
template <typename Sink>
void Render(const Pixels& pixels, const Placement& place, const ResampleOptions& options, const Sink& sink) {
  thread_local RowBuffers buffers;
  std::vector<uint8_t>& row = buffers.row;
  row.resize(static_cast<size_t>(options.width) * 3 + 4);
  const auto pad = [&] {
    for (size_t i = 0; i < row.size(); ++i) row[i] = options.padding[i % 3];
  };
  const auto low = [](double v) { return static_cast<uint32_t>(std::floor(v)); };
  const auto high = [](double v) { return static_cast<uint32_t>(std::ceil(v)); };
  const Box &box = place.box, &bounds = place.bounds;
  const ResizeTaps columns = MakeTaps(box.left, box.right, low(bounds.left), high(bounds.right), place.width);
  const ResizeTaps rows = MakeTaps(box.top, box.bottom, low(bounds.top), high(bounds.bottom), place.height);
  uint32_t begin = columns.spans().front().first, end = 0;
  for (const ResizeTaps::Span& span : columns.spans()) {
    begin = std::min(begin, span.first);
    end = std::max(end, span.first + span.count);
  }
  const size_t stride = static_cast<size_t>(pixels.width) * 3, used = static_cast<size_t>(end - begin) * 3;
  buffers.sums.resize(used + kSumPadding);
  if (place.width < options.width || place.height < options.height) pad();
  for (uint32_t y = 0; y < place.top; ++y) sink(y, row.data());
  const uint8_t after = row[(place.left + place.width) * size_t{3}];
  for (uint32_t y = 0; y < place.height; ++y) {
    const ResizeTaps::Span& span = rows.spans()[y];
    SumDown(pixels.rgb.data() + span.first * stride + static_cast<size_t>(begin) * 3, stride, rows.weights(span),
            std::span(buffers.sums).first(used));
    SumAlong(buffers.sums.data(), begin, columns, &row[static_cast<size_t>(place.left) * 3]);
    row[(place.left + place.width) * size_t{3}] = after;  // SumAlong writes one byte further
    sink(place.top + y, row.data());
  }
  if (place.top + place.height < options.height) pad();
  for (uint32_t y = place.top + place.height; y < options.height; ++y) sink(y, row.data());
}

absl::StatusOr<Placement> Place(const Pixels& pixels, const std::optional<Region>& region,
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
  Placement place{bounds, bounds, 0, 0, options.width, options.height};
  Box& box = place.box;
  if (options.fit == Fit::kMild) {
    const double excess = (box.right - box.left) * options.height / ((box.bottom - box.top) * options.width);
    const double cut = 1 - std::max(std::min(excess, 1 / excess), kMildVisible);
    const double cut_x = excess > 1 ? (box.right - box.left) * cut / 2 : 0;
    const double cut_y = excess < 1 ? (box.bottom - box.top) * cut / 2 : 0;
    box = {box.left + cut_x, box.top + cut_y, box.right - cut_x, box.bottom - cut_y};
  }
  const double box_width = box.right - box.left, box_height = box.bottom - box.top;
  if (options.fit == Fit::kCrop) {
    const double scale = std::min(box_width / place.width, box_height / place.height);
    const double cut_x = (box_width - scale * place.width) / 2, cut_y = (box_height - scale * place.height) / 2;
    box = {box.left + cut_x, box.top + cut_y, box.right - cut_x, box.bottom - cut_y};
  } else if (options.fit == Fit::kPad || options.fit == Fit::kMild) {
    const double scale = std::max(box_width / place.width, box_height / place.height);
    const auto side = [&](double length, uint32_t most) {
      return std::clamp<uint32_t>(static_cast<uint32_t>(std::lround(length / scale)), 1, most);
    };
    place.width = side(box_width, options.width);
    place.height = side(box_height, options.height);
    place.left = (options.width - place.width) / 2;
    place.top = (options.height - place.height) / 2;
  }
  return place;
}

}  // namespace

absl::StatusOr<Pixels> Resample(const Pixels& pixels, const std::optional<Region>& region,
                                const ResampleOptions& options) {
  LIKENESS_ASSIGN_OR_RETURN(const Placement place, Place(pixels, region, options));
  Pixels out;
  out.width = out.full_width = options.width;
  out.height = out.full_height = options.height;
  const size_t stride = static_cast<size_t>(out.width) * 3;
  out.rgb.reserve(stride * out.height);
  Render(pixels, place, options,
         [&](uint32_t, const uint8_t* row) { out.rgb.insert(out.rgb.end(), row, row + stride); });
  return out;
}

absl::Status ResampleToTensor(const Pixels& pixels, const std::optional<Region>& region, const ResampleOptions& options,
                              const TensorOptions& tensor, std::span<float> out) {
  LIKENESS_ASSIGN_OR_RETURN(const Placement place, Place(pixels, region, options));
  const size_t area = static_cast<size_t>(options.width) * options.height;
  LIKENESS_CHECK(out.size() == area * 3);
  const NormaliseOptions normalise{tensor.mean, tensor.scale, tensor.reversed};
  const size_t step = static_cast<size_t>(options.width) * (tensor.planar ? 1 : 3);
  Render(pixels, place, options, [&](uint32_t y, const uint8_t* row) {
    NormaliseTriples(row, options.width, normalise, tensor.planar ? area : 0, out.data() + y * step);
  });
  return absl::OkStatus();
}

}  // namespace likeness
