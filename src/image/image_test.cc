// The decode door reads what it says it reads, refuses the rest with a reason, and pixels keep their place and color.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vips/vips.h>

#include <cmath>
#include <thread>

#include "base/bytes.h"
#include "base/random.h"
#include "image/decode.h"
#include "image/encode.h"
#include "image/resample.h"
#include "support/odd_files.h"

namespace likeness {
namespace {

using testing::HasSubstr;

constexpr uint64_t kSeed = 20261122;

std::array<int, 3> At(const Pixels& pixels, uint32_t x, uint32_t y) {
  const uint8_t* rgb = &pixels.rgb[(size_t{y} * pixels.width + x) * 3];
  return {rgb[0], rgb[1], rgb[2]};
}

// `samples` through libvips into a file of the kind that `suffix` names.
template <typename Sample>
std::string Encoded(std::vector<Sample> samples, int width, int height, int bands, VipsInterpretation meaning,
                    const std::string& suffix, int orientation = 0) {
  (void)MakeJpeg(1, 8, 8);  // starts libvips
  VipsImage* image =
      vips_image_new_from_memory_copy(samples.data(), samples.size() * sizeof(Sample), width, height, bands,
                                      sizeof(Sample) == 2 ? VIPS_FORMAT_USHORT : VIPS_FORMAT_UCHAR);
  image->Type = meaning;
  if (orientation != 0) vips_image_set_int(image, VIPS_META_ORIENTATION, orientation);
  void* data = nullptr;
  size_t size = 0;
  EXPECT_EQ(vips_image_write_to_buffer(image, suffix.c_str(), &data, &size, nullptr), 0) << vips_error_buffer();
  g_object_unref(image);
  std::string bytes(static_cast<const char*>(data), size);
  g_free(data);
  return bytes;
}

Pixels MakePixels(uint32_t width, uint32_t height, uint64_t seed = 0) {
  Pixels pixels{width, height, std::vector<uint8_t>(size_t{width} * height * 3), width, height};
  Random random(seed);
  for (uint8_t& value : pixels.rgb) value = static_cast<uint8_t>(random.Below(256));
  return pixels;
}

TEST(Decode, EveryOddFileIsReadOrRefusedWithAReason) {
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  for (const OddFile& file : MakeOddFiles(kSeed, 200)) {
    const auto pixels = DecodeImage(AsBytes(file.bytes));
    ASSERT_EQ(pixels.ok(), file.expect_ok) << file.name << ": " << pixels.status();
    const auto header = ReadImageHeader(AsBytes(file.bytes));
    if (!pixels.ok()) {
      EXPECT_EQ(BlameOf(pixels.status()), Blame::kData) << file.name << ": " << pixels.status();
      EXPECT_GT(MessageOf(pixels.status()).size(), 10u) << file.name;
      continue;
    }
    ASSERT_TRUE(header.ok()) << file.name;
    EXPECT_EQ(header->width, pixels->width) << file.name;
    EXPECT_EQ(header->height, pixels->height) << file.name;
    EXPECT_EQ(pixels->rgb.size(), size_t{3} * pixels->width * pixels->height) << file.name;
    const auto reduced = DecodeImage(AsBytes(file.bytes), {}, {4, 0});
    ASSERT_TRUE(reduced.ok()) << file.name;
    EXPECT_GE(std::min(reduced->width, reduced->height), std::min({4u, pixels->width, pixels->height})) << file.name;
    EXPECT_EQ(reduced->full_width, pixels->width) << file.name;
  }
}

TEST(Decode, EveryPrefixOfEveryFormatIsRefusedOrReadButNeverCrashes) {
  const std::vector<uint8_t> samples(20 * 12 * 3, 90);
  for (const char* suffix : {".jpg", ".png", ".webp", ".gif", ".tif"}) {
    const std::string bytes = Encoded(samples, 20, 12, 3, VIPS_INTERPRETATION_sRGB, suffix);
    for (size_t size = 0; size < bytes.size(); size += size < 700 ? 1 : 97) {
      const auto pixels = DecodeImage(AsBytes(bytes).first(size));
      EXPECT_TRUE(pixels.ok() || BlameOf(pixels.status()) == Blame::kData) << suffix << " " << size;
    }
  }
}

TEST(Decode, ReasonsNameTheFault) {
  const std::string jpeg = MakeJpeg(1, 200, 150), half = jpeg.substr(0, jpeg.size() / 2);
  const auto refusal = [](std::string_view bytes, const ImageLimits& limits = {}) {
    const auto status = DecodeImage(AsBytes(bytes), limits).status();
    return CodeName(status) + ": " + MessageOf(status);
  };
  EXPECT_EQ(refusal(""), "data_loss: the file is empty");
  EXPECT_EQ(refusal(half), "data_loss: the file is cut off: it ends before its JPEG data does");
  EXPECT_THAT(refusal("<svg/>"), HasSubstr("unimplemented: it is not a JPEG"));
  EXPECT_EQ(refusal(jpeg, {.max_pixels = 29999}),
            "out_of_range: the picture is 200 x 150 pixels and the limit is 29999 pixels in all");
  EXPECT_EQ(refusal(jpeg, {.max_bytes = 100}),
            "out_of_range: the file has " + std::to_string(jpeg.size()) + " bytes and the limit is 100");
  EXPECT_EQ(refusal(jpeg, {.max_aspect = 1.25}),
            "out_of_range: the picture is 200 x 150 pixels, and its sides may differ by a factor of 1.25 at most");
  EXPECT_TRUE(DecodeImage(AsBytes(jpeg), {.max_pixels = 30000, .max_bytes = jpeg.size(), .max_aspect = 4.0 / 3}).ok())
      << "limits are inclusive";
}

TEST(Decode, FormatsAreToldFromTheBytes) {
  const std::vector<uint8_t> samples(16 * 16 * 3, 90);
  for (const auto& [suffix, name] : {std::pair(".jpg", "jpeg"),
                                     {".png", "png"},
                                     {".webp", "webp"},
                                     {".gif", "gif"},
                                     {".tif", "tiff"},
                                     {".avif[compression=av1]", "avif"}}) {
    const std::string bytes = Encoded(samples, 16, 16, 3, VIPS_INTERPRETATION_sRGB, suffix);
    EXPECT_EQ(ReadImageHeader(AsBytes(bytes))->format, name);
  }
}

TEST(Decode, AllOrientationsComeOutUpright) {
  // Upright: 32 x 16, top left red, top right green, bottom left blue, bottom right white.
  const auto upright = [](int x, int y) -> std::array<uint8_t, 3> {
    if (y < 8) return x < 16 ? std::array<uint8_t, 3>{255, 0, 0} : std::array<uint8_t, 3>{0, 255, 0};
    return x < 16 ? std::array<uint8_t, 3>{0, 0, 255} : std::array<uint8_t, 3>{255, 255, 255};
  };
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const int width = orientation >= 5 ? 16 : 32, height = orientation >= 5 ? 32 : 16;
    std::vector<uint8_t> stored;
    for (int row = 0; row < height; ++row) {
      for (int column = 0; column < width; ++column) {
        // EXIF 2.3, tag 274: what row 0 and column 0 of the stored picture are.
        int x = 0, y = 0;
        switch (orientation) {
          case 1:
            x = column, y = row;
            break;  // top, left
          case 2:
            x = 31 - column, y = row;
            break;  // top, right
          case 3:
            x = 31 - column, y = 15 - row;
            break;  // bottom, right
          case 4:
            x = column, y = 15 - row;
            break;  // bottom, left
          case 5:
            x = row, y = column;
            break;  // left, top
          case 6:
            x = 31 - row, y = column;
            break;  // right, top
          case 7:
            x = 31 - row, y = 15 - column;
            break;  // right, bottom
          case 8:
            x = row, y = 15 - column;
            break;  // left, bottom
        }
        for (const uint8_t value : upright(x, y)) stored.push_back(value);
      }
    }
    for (const char* suffix : {".jpg[Q=100]", ".tif"}) {
      const std::string bytes = Encoded(stored, width, height, 3, VIPS_INTERPRETATION_sRGB, suffix, orientation);
      const auto pixels = DecodeImage(AsBytes(bytes));
      ASSERT_TRUE(pixels.ok()) << pixels.status();
      ASSERT_EQ(pixels->width, 32u) << orientation;
      ASSERT_EQ(pixels->full_height, 16u) << orientation;
      for (const auto& [x, y] : {std::pair(3, 3), {28, 3}, {3, 12}, {28, 12}}) {
        const auto seen = At(*pixels, static_cast<uint32_t>(x), static_cast<uint32_t>(y));
        const auto wanted = upright(x, y);
        for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(seen[c], wanted[c], 12) << suffix << " " << orientation;
      }
    }
  }
}

TEST(Decode, ColorsComeToSrgb) {
  const auto first = [](const std::string& bytes) {
    const auto pixels = DecodeImage(AsBytes(bytes));
    EXPECT_TRUE(pixels.ok()) << pixels.status();
    return pixels.ok() ? At(*pixels, 8, 8) : std::array<int, 3>{};
  };
  const auto fill = []<typename Sample>(std::vector<Sample> pixel) {
    std::vector<Sample> all;
    for (int i = 0; i < 256; ++i) all.insert(all.end(), pixel.begin(), pixel.end());
    return all;
  };
  const auto near = [](std::array<int, 3> seen, std::array<int, 3> wanted, int by) {
    for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(seen[c], wanted[c], by);
  };
  const std::vector<uint8_t> grey = {100}, grey_alpha = {100, 0}, half_red = {255, 0, 0, 128}, clear = {9, 9, 9, 0};
  near(first(Encoded(fill(grey), 16, 16, 1, VIPS_INTERPRETATION_B_W, ".png")), {100, 100, 100}, 0);
  near(first(Encoded(fill(grey_alpha), 16, 16, 2, VIPS_INTERPRETATION_B_W, ".png")), {255, 255, 255}, 0);
  near(first(Encoded(fill(half_red), 16, 16, 4, VIPS_INTERPRETATION_sRGB, ".png")), {255, 127, 127}, 1);
  near(first(Encoded(fill(clear), 16, 16, 4, VIPS_INTERPRETATION_sRGB, ".webp[lossless]")), {255, 255, 255}, 0);
  const std::vector<uint16_t> deep = {65535, 32768, 0}, deep_half = {65535, 0, 0, 32768}, deep_grey = {25700};
  near(first(Encoded(fill(deep), 16, 16, 3, VIPS_INTERPRETATION_RGB16, ".png")), {255, 128, 0}, 1);
  near(first(Encoded(fill(deep_half), 16, 16, 4, VIPS_INTERPRETATION_RGB16, ".png")), {255, 127, 127}, 1);
  near(first(Encoded(fill(deep_grey), 16, 16, 1, VIPS_INTERPRETATION_GREY16, ".tif")), {100, 100, 100}, 1);
  // Inks: none is paper, all of black is dark, cyan has little red.
  const std::vector<uint8_t> paper = {0, 0, 0, 0}, black = {0, 0, 0, 255}, cyan = {255, 0, 0, 0};
  for (const char* suffix : {".jpg", ".tif"}) {
    near(first(Encoded(fill(paper), 16, 16, 4, VIPS_INTERPRETATION_CMYK, suffix)), {255, 255, 255}, 3);
    near(first(Encoded(fill(black), 16, 16, 4, VIPS_INTERPRETATION_CMYK, suffix)), {30, 30, 30}, 30);
    const auto seen = first(Encoded(fill(cyan), 16, 16, 4, VIPS_INTERPRETATION_CMYK, suffix));
    EXPECT_LT(seen[0], 60);
    EXPECT_GT(seen[2], 180);
  }
}

TEST(Decode, ReducesButNotBelowWhatIsAskedFor) {
  const std::string jpeg = MakeJpeg(3, 1000, 700);
  for (const uint32_t at_least : {1u, 60u, 87u, 88u, 224u, 350u, 351u, 700u, 5000u}) {
    const auto pixels = DecodeImage(AsBytes(jpeg), {}, {at_least, 0});
    ASSERT_TRUE(pixels.ok());
    EXPECT_GE(std::min(pixels->width, pixels->height), std::min(at_least, 700u));
    EXPECT_LT(std::min(pixels->width, pixels->height), std::max(2 * at_least, 8u) + 700 / 4);
    EXPECT_EQ(pixels->full_width, 1000u);
    EXPECT_EQ(pixels->full_height, 700u);
  }
}

TEST(Decode, KeepsBothSidesThatAreAskedFor) {
  const std::string jpeg = MakeJpeg(3, 1000, 700);
  const std::vector<std::pair<DecodeSize, uint32_t>> cases = {{{100, 0}, 250},    {{0, 100}, 125},   {{100, 400}, 500},
                                                              {{100, 501}, 1000}, {{350, 400}, 500}, {kFullSize, 1000}};
  for (const auto& [size, width] : cases) {
    const auto pixels = DecodeImage(AsBytes(jpeg), {}, size);
    ASSERT_TRUE(pixels.ok());
    EXPECT_NEAR(pixels->width, width, 25) << size.shorter << ", " << size.longer;
  }
}

TEST(Decode, ThreadsDoNotDisturbEachOther) {
  const auto files = MakeOddFiles(kSeed + 1, 40);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (const OddFile& file : files) wrong += DecodeImage(AsBytes(file.bytes)).ok() != file.expect_ok;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// The twin: the definition of the filter in double precision, both directions at once.
double Reference(const Pixels& pixels, double left, double top, double scale_x, double scale_y, uint32_t x, uint32_t y,
                 size_t channel) {
  const auto cubic = [](double t) {
    t = std::abs(t);
    return t < 1 ? 1.5 * t * t * t - 2.5 * t * t + 1 : t < 2 ? -0.5 * t * t * t + 2.5 * t * t - 4 * t + 2 : 0;
  };
  const double center_x = left + (x + 0.5) * scale_x, center_y = top + (y + 0.5) * scale_y;
  double sum = 0, weights = 0;
  for (uint32_t row = 0; row < pixels.height; ++row) {
    const double wy = cubic((row + 0.5 - center_y) / std::max(1.0, scale_y));
    if (wy == 0) continue;
    for (uint32_t column = 0; column < pixels.width; ++column) {
      const double w = wy * cubic((column + 0.5 - center_x) / std::max(1.0, scale_x));
      sum += w * pixels.rgb[(size_t{row} * pixels.width + column) * 3 + channel];
      weights += w;
    }
  }
  return std::clamp(sum / weights, 0.0, 255.0);
}

TEST(Resample, EqualsTheDefinition) {
  const Pixels pixels = MakePixels(53, 37, kSeed);
  for (const auto& [width, height] : {std::pair(20u, 20u), {53u, 37u}, {100u, 90u}, {1u, 1u}, {7u, 80u}}) {
    const auto sized = Resample(pixels, std::nullopt, {width, height, Fit::kStretch});
    ASSERT_TRUE(sized.ok());
    for (uint32_t y = 0; y < height; y += 3) {
      for (uint32_t x = 0; x < width; ++x) {
        for (size_t c = 0; c < 3; ++c) {
          ASSERT_NEAR(At(*sized, x, y)[c], Reference(pixels, 0, 0, 53.0 / width, 37.0 / height, x, y, c), 0.6)
              << width << "x" << height << " at " << x << "," << y;
        }
      }
    }
  }
  EXPECT_EQ(Resample(pixels, std::nullopt, {53, 37, Fit::kStretch})->rgb, pixels.rgb) << "the same size is the same";
  // The crop takes the middle 37 columns.
  const auto crop = Resample(pixels, std::nullopt, {20, 20, Fit::kCrop});
  EXPECT_NEAR(At(*crop, 4, 9)[1], Reference(pixels, 8, 0, 1.85, 1.85, 4, 9, 1), 0.6);
}

TEST(Resample, PadShowsEverythingOnThePaddingColor) {
  Pixels pixels = MakePixels(40, 20);
  std::ranges::fill(pixels.rgb, 77);
  ResampleOptions options{20, 20, Fit::kPad, {1, 2, 3}};
  const auto padded = Resample(pixels, std::nullopt, options);
  EXPECT_EQ(At(*padded, 0, 4), (std::array<int, 3>{1, 2, 3}));
  EXPECT_EQ(At(*padded, 0, 5), (std::array<int, 3>{77, 77, 77}));
  EXPECT_EQ(At(*padded, 19, 14), (std::array<int, 3>{77, 77, 77}));
  EXPECT_EQ(At(*padded, 19, 15), (std::array<int, 3>{1, 2, 3}));
  options.fit = Fit::kMild;  // of 40 columns 18 % are cut off: 20 rows become 20 / (2 * 0.82) = 12.2
  const auto mild = Resample(pixels, std::nullopt, options);
  EXPECT_EQ(At(*mild, 10, 3), (std::array<int, 3>{1, 2, 3}));
  EXPECT_EQ(At(*mild, 0, 4), (std::array<int, 3>{77, 77, 77}));
  EXPECT_EQ(At(*mild, 19, 15), (std::array<int, 3>{77, 77, 77}));
  EXPECT_EQ(At(*mild, 10, 16), (std::array<int, 3>{1, 2, 3}));
  for (const Fit fit : {Fit::kPad, Fit::kMild, Fit::kCrop, Fit::kStretch}) {
    options.fit = fit;
    EXPECT_TRUE(Resample(MakePixels(3000, 1), std::nullopt, options).ok()) << "at least one row is left";
    EXPECT_TRUE(Resample(MakePixels(1, 3000), std::nullopt, options).ok());
    EXPECT_EQ(Resample(MakePixels(20, 20, 3), std::nullopt, options)->rgb, MakePixels(20, 20, 3).rgb);
  }
}

TEST(Resample, ARegionSeesNothingOutsideItself) {
  // A reduced picture: regions are in pixels of the full size, which is four times as large.
  Pixels pixels = MakePixels(50, 40);
  pixels.full_width = 200;
  pixels.full_height = 160;
  for (uint32_t y = 0; y < 40; ++y) {
    for (uint32_t x = 0; x < 50; ++x) {
      const bool inside = x >= 10 && x < 30 && y >= 5 && y < 25;
      for (size_t c = 0; c < 3; ++c) pixels.rgb[(y * 50 + x) * 3 + c] = inside ? 200 : 0;
    }
  }
  for (const Fit fit : {Fit::kCrop, Fit::kPad, Fit::kStretch}) {
    const auto cut = Resample(pixels, Region{40, 20, 80, 80}, {64, 64, fit});
    ASSERT_TRUE(cut.ok());
    EXPECT_THAT(cut->rgb, testing::Each(200));
  }
}

TEST(Resample, RefusesWhatIsNotThere) {
  const Pixels pixels = MakePixels(10, 10);
  for (const Region region : {Region{5, 5, 6, 1}, Region{-1, 0, 2, 2}, Region{0, 0, 0, 1}}) {
    EXPECT_EQ(Resample(pixels, region, {}).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(Resample(Pixels{}, std::nullopt, {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Resample(pixels, std::nullopt, {0, 5}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Encode, ThumbnailsAreUprightAndNoLargerThanThePicture) {
  const auto size = [](const std::string& bytes, uint32_t longest) {
    const auto jpeg = MakeThumbnail(AsBytes(bytes), {}, longest);
    EXPECT_TRUE(jpeg.ok()) << jpeg.status();
    const auto header = ReadImageHeader(AsBytes(*jpeg), {.max_aspect = 100});
    EXPECT_EQ(header->format, "jpeg");
    return std::pair(header->width, header->height);
  };
  EXPECT_EQ(size(MakeJpeg(1, 1000, 500), 256), std::pair(256u, 128u));
  EXPECT_EQ(size(MakeJpeg(1, 100, 50), 256), std::pair(100u, 50u));
  EXPECT_EQ(size(MakeJpeg(1, 300, 10), 64), std::pair(64u, 2u));
  const std::string turned =
      Encoded(std::vector<uint8_t>(400 * 200 * 3, 9), 400, 200, 3, VIPS_INTERPRETATION_sRGB, ".jpg", 6);
  EXPECT_EQ(size(turned, 100), std::pair(50u, 100u));
  EXPECT_EQ(BlameOf(MakeThumbnail(AsBytes("x"), {}, 64).status()), Blame::kData);
}

TEST(Encode, KeepsThePicture) {
  const auto pixels = DecodeImage(AsBytes(MakeJpeg(4, 64, 48)));
  const auto jpeg = EncodeJpeg(*pixels, 95);
  const auto again = DecodeImage(AsBytes(*jpeg));
  for (uint32_t i = 0; i < 48; i += 5) {
    for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(At(*again, i, i)[c], At(*pixels, i, i)[c], 10);
  }
  EXPECT_EQ(EncodeJpeg(Pixels{}, 90).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace likeness
