#include "eval/duplicate_variants.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "image/encode.h"
#include "image/resample.h"

namespace likeness {
namespace {

using Color = std::array<uint8_t, 3>;

// Capital letters, 5 x 7, a row a number.
constexpr uint8_t kLetters[26][7] = {
    {14, 17, 17, 31, 17, 17, 17}, {30, 17, 17, 30, 17, 17, 30}, {14, 17, 16, 16, 16, 17, 14},
    {30, 17, 17, 17, 17, 17, 30}, {31, 16, 16, 30, 16, 16, 31}, {31, 16, 16, 30, 16, 16, 16},
    {14, 17, 16, 23, 17, 17, 15}, {17, 17, 17, 31, 17, 17, 17}, {14, 4, 4, 4, 4, 4, 14},
    {7, 2, 2, 2, 2, 18, 12},      {17, 18, 20, 24, 20, 18, 17}, {16, 16, 16, 16, 16, 16, 31},
    {17, 27, 21, 21, 17, 17, 17}, {17, 25, 21, 19, 17, 17, 17}, {14, 17, 17, 17, 17, 17, 14},
    {30, 17, 17, 30, 16, 16, 16}, {14, 17, 17, 17, 21, 18, 13}, {30, 17, 17, 30, 20, 18, 17},
    {15, 16, 16, 14, 1, 1, 30},   {31, 4, 4, 4, 4, 4, 4},       {17, 17, 17, 17, 17, 17, 14},
    {17, 17, 17, 17, 17, 10, 4},  {17, 17, 17, 21, 21, 27, 17}, {17, 17, 10, 4, 10, 17, 17},
    {17, 17, 10, 4, 4, 4, 4},     {31, 1, 2, 4, 8, 16, 31}};

Pixels Canvas(uint32_t width, uint32_t height, const Color& color) {
  Pixels pixels{width, height, {}, width, height};
  pixels.rgb.resize(size_t{width} * height * 3);
  for (size_t i = 0; i < pixels.rgb.size(); ++i) pixels.rgb[i] = color[i % 3];
  return pixels;
}

Color DrawColor(Random& random) {
  // Black and white are what people take most.
  switch (random.Below(4)) {
    case 0:
      return {0, 0, 0};
    case 1:
      return {255, 255, 255};
    default:
      return {static_cast<uint8_t>(random.Below(256)), static_cast<uint8_t>(random.Below(256)),
              static_cast<uint8_t>(random.Below(256))};
  }
}

uint32_t Times(uint32_t length, double factor) {
  return std::max<uint32_t>(1, static_cast<uint32_t>(std::lround(length * factor)));
}

absl::StatusOr<Pixels> Resize(const Pixels& pixels, uint32_t width, uint32_t height) {
  ResampleOptions options;
  options.width = width;
  options.height = height;
  options.fit = Fit::kStretch;
  return Resample(pixels, std::nullopt, options);
}

Pixels Crop(const Pixels& pixels, double area, Random& random) {
  const double side = std::sqrt(area);
  Pixels crop = Canvas(Times(pixels.width, side), Times(pixels.height, side), {});
  const size_t left = random.Below(pixels.width - crop.width + 1), top = random.Below(pixels.height - crop.height + 1);
  for (size_t y = 0; y < crop.height; ++y) {
    std::copy_n(&pixels.rgb[((top + y) * pixels.width + left) * 3], size_t{crop.width} * 3,
                &crop.rgb[y * crop.width * 3]);
  }
  return crop;
}

Pixels Rotate(const Pixels& pixels, Random& random) {
  const double angle = random.Unit() * 2 * std::numbers::pi, cos = std::cos(angle), sin = std::sin(angle);
  const double w = pixels.width, h = pixels.height;
  const double wide = std::abs(w * cos) + std::abs(h * sin), high = std::abs(w * sin) + std::abs(h * cos);
  Pixels out =
      Canvas(static_cast<uint32_t>(std::ceil(wide)), static_cast<uint32_t>(std::ceil(high)), DrawColor(random));
  for (uint32_t y = 0; y < out.height; ++y) {
    for (uint32_t x = 0; x < out.width; ++x) {
      const double dx = x + 0.5 - out.width / 2.0, dy = y + 0.5 - out.height / 2.0;
      const double fx = cos * dx + sin * dy + w / 2 - 0.5, fy = -sin * dx + cos * dy + h / 2 - 0.5;
      if (fx < 0 || fy < 0 || fx > w - 1 || fy > h - 1) continue;
      const auto left = static_cast<size_t>(std::min(fx, w - 2 > 0 ? w - 2 : 0));
      const auto top = static_cast<size_t>(std::min(fy, h - 2 > 0 ? h - 2 : 0));
      const double u = fx - static_cast<double>(left), v = fy - static_cast<double>(top);
      const size_t right = std::min<size_t>(left + 1, pixels.width - 1),
                   below = std::min<size_t>(top + 1, pixels.height - 1);
      for (size_t c = 0; c < 3; ++c) {
        const auto at = [&](size_t px, size_t py) { return double{1} * pixels.rgb[(py * pixels.width + px) * 3 + c]; };
        const double value = (1 - v) * ((1 - u) * at(left, top) + u * at(right, top)) +
                             v * ((1 - u) * at(left, below) + u * at(right, below));
        out.rgb[(size_t{y} * out.width + x) * 3 + c] = static_cast<uint8_t>(value + 0.5);
      }
    }
  }
  return out;
}

Pixels Mirror(const Pixels& pixels) {
  Pixels out = pixels;
  for (size_t y = 0; y < pixels.height; ++y) {
    for (size_t x = 0; x < pixels.width; ++x) {
      std::copy_n(&pixels.rgb[(y * pixels.width + pixels.width - 1 - x) * 3], 3, &out.rgb[(y * pixels.width + x) * 3]);
    }
  }
  return out;
}

Pixels Border(const Pixels& pixels, Random& random) {
  const auto part = [&](uint32_t side) { return Times(side, 0.05 + 0.1 * random.Unit()); };
  const uint32_t left = part(pixels.width), right = part(pixels.width);
  const uint32_t top = part(pixels.height), below = part(pixels.height);
  Pixels out = Canvas(left + pixels.width + right, top + pixels.height + below, DrawColor(random));
  for (size_t y = 0; y < pixels.height; ++y) {
    std::copy_n(&pixels.rgb[y * pixels.width * 3], size_t{pixels.width} * 3,
                &out.rgb[((top + y) * out.width + left) * 3]);
  }
  return out;
}

void Fill(Pixels& pixels, double left, double top, double size, const Color& color) {
  const auto from = [](double v) { return static_cast<int64_t>(std::floor(v)); };
  for (int64_t y = from(top); y < from(top + size) + 1; ++y) {
    for (int64_t x = from(left); x < from(left + size) + 1; ++x) {
      if (x < 0 || y < 0 || x >= pixels.width || y >= pixels.height) continue;
      std::ranges::copy(color, &pixels.rgb[(static_cast<size_t>(y) * pixels.width + static_cast<size_t>(x)) * 3]);
    }
  }
}

Pixels Text(const Pixels& pixels, Random& random) {
  Pixels out = pixels;
  const size_t lines = 2 + random.Below(3);
  for (size_t line = 0; line < lines; ++line) {
    const size_t letters = 7 + random.Below(8);
    const double dot = pixels.width * (0.6 + 0.35 * random.Unit()) / static_cast<double>(letters * 6);
    const double left = random.Unit() * (pixels.width - dot * 6 * static_cast<double>(letters));
    const double top = random.Unit() * (pixels.height - dot * 8);
    const Color color = DrawColor(random);
    for (size_t i = 0; i < letters; ++i) {
      const auto& letter = kLetters[random.Below(26)];
      for (size_t row = 0; row < 7; ++row) {
        for (size_t column = 0; column < 5; ++column) {
          if ((letter[row] >> (4 - column) & 1) == 0) continue;
          Fill(out, left + dot * static_cast<double>(i * 6 + column), top + dot * static_cast<double>(row), dot, color);
        }
      }
    }
  }
  return out;
}

Pixels Brightness(const Pixels& pixels, Random& random) {
  const double factor = random.Below(2) == 0 ? 0.5 + 0.25 * random.Unit() : 1.3 + 0.4 * random.Unit();
  Pixels out = pixels;
  for (uint8_t& value : out.rgb) value = static_cast<uint8_t>(std::min(255.0, value * factor + 0.5));
  return out;
}

}  // namespace

const std::array<AlterationRow, kAlterations>& AlterationRows() {
  static constexpr std::array<AlterationRow, kAlterations> kRows = {{{Alteration::kCrop80, "crop_80", 0.99},
                                                                     {Alteration::kCrop50, "crop_50", 0.97},
                                                                     {Alteration::kCrop30, "crop_30", 0.85},
                                                                     {Alteration::kRotate, "rotate", 0.97},
                                                                     {Alteration::kMirror, "mirror", 0.99},
                                                                     {Alteration::kJpeg10, "jpeg_10", 0.98},
                                                                     {Alteration::kScale25, "scale_25", 0.97},
                                                                     {Alteration::kBorder, "border", 0.98},
                                                                     {Alteration::kText, "text", 0.97},
                                                                     {Alteration::kAspect, "aspect_3_4", 0.97},
                                                                     {Alteration::kBrightness, "brightness", 0.99}}};
  return kRows;
}

absl::StatusOr<Pixels> Alter(const Pixels& pixels, Alteration kind, Random& random) {
  switch (kind) {
    case Alteration::kCrop80:
      return Crop(pixels, 0.8, random);
    case Alteration::kCrop50:
      return Crop(pixels, 0.5, random);
    case Alteration::kCrop30:
      return Crop(pixels, 0.3, random);
    case Alteration::kRotate:
      return Rotate(pixels, random);
    case Alteration::kMirror:
      return Mirror(pixels);
    case Alteration::kJpeg10:
      return pixels;
    case Alteration::kScale25:
      return Resize(pixels, Times(pixels.width, 0.25), Times(pixels.height, 0.25));
    case Alteration::kBorder:
      return Border(pixels, random);
    case Alteration::kText:
      return Text(pixels, random);
    case Alteration::kAspect:
      return random.Below(2) == 0 ? Resize(pixels, Times(pixels.width, 0.75), pixels.height)
                                  : Resize(pixels, pixels.width, Times(pixels.height, 0.75));
    case Alteration::kBrightness:
      return Brightness(pixels, random);
  }
  return absl::InvalidArgumentError("there is no such alteration");
}

absl::StatusOr<std::string> MakeAltered(const Pixels& pixels, Alteration kind, Random& random) {
  LIKENESS_ASSIGN_OR_RETURN(const Pixels altered, Alter(pixels, kind, random));
  return EncodeJpeg(altered, kind == Alteration::kJpeg10 ? 10 : 85);
}

}  // namespace likeness
