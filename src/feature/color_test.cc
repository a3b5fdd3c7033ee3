// Salient regions hold the thing and not the ground, signatures its colors, distances are exact, and no picture is
// without a value.
#include "feature/color.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/bytes.h"
#include "base/random.h"
#include "feature/color_distance.h"
#include "feature/color_query.h"
#include "feature/salient_region.h"
#include "image/decode.h"
#include "kernel/cpu.h"
#include "support/odd_files.h"

namespace likeness {
namespace {

using Rgb = std::array<uint8_t, 3>;

Pixels Plain(uint32_t width, uint32_t height, Rgb color) {
  Pixels pixels{width, height, std::vector<uint8_t>(size_t{width} * height * 3), width, height};
  for (size_t i = 0; i < pixels.rgb.size(); ++i) pixels.rgb[i] = color[i % 3];
  return pixels;
}

void Paint(Pixels& pixels, const Region& box, Rgb color) {
  for (int32_t y = box.y; y < box.y + box.height; ++y) {
    for (int32_t x = box.x; x < box.x + box.width; ++x) {
      std::ranges::copy(color, &pixels.rgb[(static_cast<size_t>(y) * pixels.width + static_cast<size_t>(x)) * 3]);
    }
  }
}

void AddNoise(Pixels& pixels, int by, uint64_t seed) {
  Random random(seed);
  for (uint8_t& value : pixels.rgb) {
    const int noise = static_cast<int>(random.Below(static_cast<uint64_t>(2 * by + 1))) - by;
    value = static_cast<uint8_t>(std::clamp(value + noise, 0, 255));
  }
}

double Overlap(const Region& a, const Region& b) {
  const double width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const double height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  const double both = std::max(0.0, width) * std::max(0.0, height);
  return both / (static_cast<double>(a.width) * a.height + static_cast<double>(b.width) * b.height - both);
}

TEST(Lab, KnownColors) {
  const auto near = [](const Lab& lab, float l, float a, float b) {
    EXPECT_NEAR(lab.l, l, 0.05);
    EXPECT_NEAR(lab.a, a, 0.05);
    EXPECT_NEAR(lab.b, b, 0.05);
  };
  near(LabOf(255, 255, 255), 100, 0, 0);
  near(LabOf(0, 0, 0), 0, 0, 0);
  near(LabOf(255, 0, 0), 53.24f, 80.09f, 67.20f);
  near(LabOf(0, 0, 255), 32.30f, 79.19f, -107.86f);
  for (const Rgb rgb : {Rgb{1, 2, 3}, Rgb{200, 100, 7}, Rgb{128, 128, 128}, Rgb{13, 240, 99}}) {
    EXPECT_EQ(RgbOf(LabOf(rgb[0], rgb[1], rgb[2])), rgb);
  }
}

TEST(SalientRegion, FindsTheThingOnQuietAndOnRestlessGround) {
  const Region box{150, 90, 220, 180};
  struct Case {
    Rgb ground, thing;
    int noise;
  };
  for (const Case& wanted : {Case{{255, 255, 255}, {200, 30, 40}, 0}, Case{{255, 255, 255}, {238, 238, 236}, 1},
                             Case{{20, 20, 20}, {40, 60, 160}, 4}, Case{{90, 140, 80}, {210, 190, 170}, 40}}) {
    Pixels pixels = Plain(512, 384, wanted.ground);
    Paint(pixels, box, wanted.thing);
    AddNoise(pixels, wanted.noise, 5);
    const SalientRegion region = FindSalientRegion(pixels);
    EXPECT_FALSE(region.whole);
    EXPECT_GT(Overlap(region.box, box), 0.85) << wanted.noise << " " << region.box.x << "," << region.box.y << " "
                                              << region.box.width << " x " << region.box.height;
  }
}

TEST(SalientRegion, HoldsWhatItEncloses) {
  Pixels pixels = Plain(300, 300, {255, 255, 255});
  Paint(pixels, {60, 60, 180, 180}, {120, 120, 120});
  Paint(pixels, {80, 80, 140, 140}, {255, 255, 255});
  const SalientRegion region = FindSalientRegion(pixels);
  EXPECT_EQ(region.mask[region.mask.size() / 2 + region.width / 2], 1);
}

TEST(SalientRegion, IsInPixelsOfTheOriginal) {
  Pixels pixels = Plain(200, 100, {255, 255, 255});
  Paint(pixels, {50, 25, 100, 50}, {0, 90, 0});
  pixels.full_width = 2000, pixels.full_height = 1000;
  EXPECT_GT(Overlap(FindSalientRegion(pixels).box, {500, 250, 1000, 500}), 0.85);
}

TEST(SalientRegion, OfPlainAndTinyPicturesIsTheWhole) {
  for (const auto& [width, height] : {std::pair(100u, 80u), {1u, 1u}, {2u, 2u}, {1u, 500u}, {20000u, 10u}}) {
    const SalientRegion region = FindSalientRegion(Plain(width, height, {0, 0, 0}));
    EXPECT_TRUE(region.whole);
    EXPECT_THAT(region.mask, testing::Each(1));
    EXPECT_EQ(region.box, (Region{0, 0, static_cast<int32_t>(width), static_cast<int32_t>(height)}));
  }
}

TEST(ColorSignature, HasTheColorsAndSharesOfTheThing) {
  Pixels pixels = Plain(400, 400, {255, 255, 255});
  Paint(pixels, {100, 100, 200, 100}, {200, 30, 40});
  Paint(pixels, {100, 200, 200, 100}, {20, 40, 150});
  const ColorSignature signature = ComputeColorSignature(pixels);
  ASSERT_GE(signature.size(), 2u);
  EXPECT_NEAR(signature[0].weight + signature[1].weight, 1, 0.12);
  const Lab red = LabOf(200, 30, 40), blue = LabOf(20, 40, 150);
  for (const Lab& lab : {red, blue}) {
    EXPECT_LT(std::min(SquaredDistance(signature[0].lab, lab), SquaredDistance(signature[1].lab, lab)), 25);
  }
}

TEST(ColorSignature, OfOneColorIsOneColor) {
  for (const Rgb rgb : {Rgb{0, 0, 0}, Rgb{255, 255, 255}, Rgb{10, 200, 90}}) {
    const ColorSignature signature = ComputeColorSignature(Plain(50, 40, rgb));
    ASSERT_EQ(signature.size(), 1u);
    EXPECT_EQ(signature[0].weight, 1);
    EXPECT_EQ(RgbOf(signature[0].lab), rgb);
  }
}

TEST(ColorSignature, EveryLevelOfTheProcessorGivesTheSame) {
  const Pixels pixels = *DecodeImage(AsBytes(MakeJpeg(3, 300, 200)));
  const auto truth = MakeColorExtractor()->Extract({&pixels, 1});
  for (const CpuLevel level : AvailableCpuLevels()) {
    const ForceCpuLevelForTest force(level);
    EXPECT_EQ(*MakeColorExtractor()->Extract({&pixels, 1})->front(), *truth->front());
  }
}

TEST(ColorExtractor, EveryOddPictureHasAValue) {
  const auto extractor = MakeColorExtractor();
  EXPECT_EQ(extractor->key(), ColorFeatureKey());
  std::vector<Pixels> pictures;
  for (const OddFile& file : MakeOddFiles(20261123, 120)) {
    auto pixels = DecodeImage(AsBytes(file.bytes), {}, extractor->decode_size());
    if (pixels.ok()) pictures.push_back(*std::move(pixels));
  }
  for (const auto& [width, height] : {std::pair(1u, 1u), {20000u, 10u}, {3u, 700u}}) {
    pictures.push_back(Plain(width, height, {7, 7, 7}));
    Pixels noisy = Plain(width, height, {128, 128, 128});
    AddNoise(noisy, 127, width);
    pictures.push_back(std::move(noisy));
  }
  const auto values = extractor->Extract(pictures);
  ASSERT_TRUE(values.ok());
  ASSERT_EQ(values->size(), pictures.size());
  for (size_t i = 0; i < pictures.size(); ++i) {
    ASSERT_TRUE((*values)[i].ok());
    const auto signature = ParseColorValue(*(*values)[i]);
    ASSERT_TRUE(signature);
    float sum = 0;
    for (const SalientColor& color : *signature) sum += color.weight;
    EXPECT_NEAR(sum, 1, 1e-5);
    EXPECT_TRUE(std::ranges::is_sorted(*signature, std::greater(), &SalientColor::weight));
    EXPECT_LT(ColorDistance(*signature, ComputeColorSignature(pictures[i])), 0.01) << "halves are enough";
  }
}

TEST(ColorExtractor, RefusesWhatIsNoValue) {
  std::vector<std::byte> bytes(8 * kMostColors + 8);
  EXPECT_FALSE(ParseColorValue(bytes)) << "too many rows";
  EXPECT_FALSE(ParseColorValue(std::span(bytes).first(8))) << "no weight";
  EXPECT_FALSE(ParseColorValue(std::span(bytes).first(7)));
  EXPECT_FALSE(ParseColorValue({}));
  bytes[1] = std::byte{0x7c};  // infinity
  bytes[7] = std::byte{0x3c};  // weight 1
  EXPECT_FALSE(ParseColorValue(std::span(bytes).first(8)));
  bytes[1] = std::byte{0};
  EXPECT_TRUE(ParseColorValue(std::span(bytes).first(8)));
}

ColorSignature RandomSignature(Random& random, size_t units) {
  ColorSignature signature(1 + random.Below(std::min(kMostColors, units)));
  for (SalientColor& color : signature) {
    color.lab = {static_cast<float>(random.Unit() * 60), static_cast<float>(random.Unit() * 40),
                 static_cast<float>(random.Unit() * 40)};
    color.weight = 1.0f / static_cast<float>(units);
  }
  for (size_t rest = units - signature.size(); rest > 0; --rest) {
    signature[random.Below(signature.size())].weight += 1.0f / static_cast<float>(units);
  }
  return signature;
}

// The definition by trying everything: shares are whole sixths, and each sixth of one side goes to one of the other.
float BruteDistance(const ColorSignature& a, const ColorSignature& b) {
  constexpr size_t kUnits = 6;
  const auto spread = [](const ColorSignature& signature) {
    std::vector<Lab> units;
    for (const SalientColor& color : signature) {
      for (long i = std::lround(color.weight * kUnits); i > 0; --i) units.push_back(color.lab);
    }
    return units;
  };
  const std::vector<Lab> from = spread(a), to = spread(b);
  std::array<size_t, kUnits> order;
  std::iota(order.begin(), order.end(), size_t{0});
  float least = 1e9f;
  do {
    float sum = 0;
    for (size_t i = 0; i < kUnits; ++i) {
      const Lab &x = from[i], &y = to[order[i]];
      const float l = kLightnessWeight * (x.l - y.l), da = x.a - y.a, db = x.b - y.b;
      sum += std::min(kFarApart, std::sqrt(l * l + da * da + db * db)) / kFarApart / kUnits;
    }
    least = std::min(least, sum);
  } while (std::ranges::next_permutation(order).found);
  return least;
}

TEST(ColorDistance, IsTheLeastWork) {
  constexpr uint64_t kSeed = 77;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  Random random(kSeed);
  for (int i = 0; i < 150; ++i) {
    const ColorSignature a = RandomSignature(random, 6), b = RandomSignature(random, 6);
    ASSERT_NEAR(ColorDistance(a, b), BruteDistance(a, b), 1e-5) << i;
  }
}

TEST(ColorDistance, IsAMetricAndAboveItsBound) {
  Random random(78);
  for (int i = 0; i < 300; ++i) {
    const ColorSignature a = RandomSignature(random, 97), b = RandomSignature(random, 97),
                         c = RandomSignature(random, 97);
    const float ab = ColorDistance(a, b);
    EXPECT_NEAR(ColorDistance(a, a), 0, 1e-6);
    EXPECT_NEAR(ab, ColorDistance(b, a), 1e-5);
    EXPECT_LE(ab, ColorDistance(a, c) + ColorDistance(c, b) + 1e-5);
    EXPECT_GE(ab, 0);
    EXPECT_LE(ab, 1 + 1e-5);
    EXPECT_LE(ColorDistanceBound(a, b), ab + 1e-5);
  }
}

TEST(ColorIndex, FindsWhatComparingWithEachFinds) {
  Random random(79);
  ColorIndex index;
  std::vector<ColorSignature> all;
  for (int i = 0; i < 1003; ++i) {
    all.push_back(i % 7 == 3 ? all[random.Below(all.size())] : RandomSignature(random, 53));
    index.Add(all.back());
  }
  EXPECT_EQ(index.size(), all.size());
  for (int q = 0; q < 20; ++q) {
    const ColorSignature query = RandomSignature(random, 53);
    std::vector<std::pair<float, uint32_t>> truth;
    for (uint32_t row = 0; row < all.size(); ++row) truth.emplace_back(ColorDistance(query, all[row]), row);
    std::ranges::sort(truth);
    const auto hits = index.Nearest(query, 25);
    ASSERT_EQ(hits.size(), 25u);
    for (size_t i = 0; i < hits.size(); ++i) {
      EXPECT_EQ(hits[i].row, truth[i].second);
      EXPECT_EQ(hits[i].distance, truth[i].first);
    }
  }
  EXPECT_EQ(index.Nearest(all[0], 5000).size(), all.size());
  EXPECT_TRUE(index.Nearest(all[0], 0).empty());
}

TEST(ColorQuery, FindsColorsByNameAndByNumber) {
  EXPECT_TRUE(std::ranges::is_sorted(ColorNames()));
  for (const std::string_view name : ColorNames()) EXPECT_TRUE(ColorQuery::Parse(name)) << name;
  EXPECT_TRUE(ColorQuery::Parse("Navy-Blue"));
  for (const std::string_view bad : {"", "#12345", "#12345g", "reddish", "# 12345"}) {
    EXPECT_FALSE(ColorQuery::Parse(bad)) << bad;
  }
  const auto only = [](Rgb rgb) { return ColorSignature{{LabOf(rgb[0], rgb[1], rgb[2]), 1.0f}}; };
  const ColorSignature dull_red = only({150, 45, 50}), white = only({250, 250, 250}), green = only({60, 140, 70});
  for (const std::string_view text : {"red", "#ff0000"}) {
    const ColorQuery red = *ColorQuery::Parse(text);
    EXPECT_GT(red.Match(dull_red), 0.3) << text;
    EXPECT_EQ(red.Match(white), 0) << text;
    EXPECT_EQ(red.Match(green), 0) << text;
  }
  const ColorQuery exact = *ColorQuery::Parse("#fafafa");
  EXPECT_NEAR(exact.Match(white), 1, 1e-4);
  const ColorSignature half = {{white[0].lab, 0.5f}, {green[0].lab, 0.5f}};
  EXPECT_NEAR(exact.Match(half), 0.5, 1e-4);
  EXPECT_EQ(NearestColorName(LabOf(255, 255, 255)), "white");
  EXPECT_EQ(NearestColorName(LabOf(205, 30, 40)), "red");
}

}  // namespace
}  // namespace likeness
