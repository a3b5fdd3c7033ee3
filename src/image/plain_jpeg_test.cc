// The short way through plain JPEG files gives what the long way gives, or leaves the file to it.
#include "image/plain_jpeg.h"

#include <gtest/gtest.h>
#include <vips/vips.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/random.h"
#include "image/decode.h"
#include "support/odd_files.h"

namespace likeness {
namespace {

// What libvips makes of a file; empty where it refuses.
Pixels ByVips(std::string_view bytes, uint32_t shrink) {
  VipsImage* image = nullptr;
  Pixels pixels;
  if (vips_jpegload_buffer(const_cast<char*>(bytes.data()), bytes.size(), &image, "shrink", static_cast<int>(shrink),
                           "fail_on", VIPS_FAIL_ON_ERROR, nullptr) != 0) {
    vips_error_clear();
    return pixels;
  }
  VipsImage* color = nullptr;
  size_t size = 0;
  if (vips_colourspace(image, &color, VIPS_INTERPRETATION_sRGB, nullptr) == 0) {
    void* data = vips_image_write_to_memory(color, &size);
    if (data != nullptr) {
      pixels.width = static_cast<uint32_t>(vips_image_get_width(color));
      pixels.height = static_cast<uint32_t>(vips_image_get_height(color));
      pixels.rgb.assign(static_cast<uint8_t*>(data), static_cast<uint8_t*>(data) + size);
      g_free(data);
    }
    g_object_unref(color);
  }
  vips_error_clear();
  g_object_unref(image);
  return pixels;
}

// `samples` of a picture with noise and edges, as libvips writes it with those options.
std::string Jpeg(uint32_t width, uint32_t height, int bands, const std::string& options, uint64_t seed,
                 int orientation = 0) {
  (void)MakeJpeg(1, 8, 8);  // starts libvips
  Random random(seed);
  std::vector<uint8_t> samples;
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      for (int c = 0; c < bands; ++c) {
        const uint32_t wave = x * 5 + y * 3 * static_cast<uint32_t>(c + 1) + (x / 13 + y / 7) % 2 * 90;
        samples.push_back(static_cast<uint8_t>(wave + random.Below(30)));
      }
    }
  }
  VipsImage* image = vips_image_new_from_memory_copy(samples.data(), samples.size(), static_cast<int>(width),
                                                     static_cast<int>(height), bands, VIPS_FORMAT_UCHAR);
  image->Type = bands == 1 ? VIPS_INTERPRETATION_B_W : VIPS_INTERPRETATION_sRGB;
  if (orientation != 0) vips_image_set_int(image, VIPS_META_ORIENTATION, orientation);
  void* data = nullptr;
  size_t size = 0;
  EXPECT_EQ(vips_image_write_to_buffer(image, (".jpg" + options).c_str(), &data, &size, nullptr), 0);
  g_object_unref(image);
  std::string bytes(static_cast<const char*>(data), size);
  g_free(data);
  return bytes;
}

TEST(PlainJpeg, GivesThePixelsOfLibvips) {
  for (const std::string options :
       {"[Q=75]", "[Q=95,subsample-mode=off]", "[Q=60,optimize-coding]", "[Q=85,restart-interval=3]"}) {
    for (const auto& [width, height] : {std::pair(64u, 48u), {1u, 1u}, {17u, 33u}, {255u, 130u}, {301u, 7u}}) {
      for (const int bands : {1, 3}) {
        const std::string bytes = Jpeg(width, height, bands, options, width);
        for (const uint32_t shrink : {1u, 2u, 4u, 8u}) {
          if (std::min(width, height) < shrink) continue;
          const auto plain = PlainJpeg::Open(AsBytes(bytes));
          ASSERT_NE(plain, nullptr) << options;
          EXPECT_EQ(plain->width(), width);
          EXPECT_EQ(plain->height(), height);
          Pixels pixels;
          ASSERT_TRUE(plain->Decode(shrink, pixels));
          const Pixels truth = ByVips(bytes, shrink);
          ASSERT_EQ(pixels.width, truth.width) << width << " " << shrink;
          ASSERT_EQ(pixels.height, truth.height) << height << " " << shrink;
          ASSERT_EQ(pixels.rgb, truth.rgb)
              << options << " " << width << " x " << height << " x " << bands << " / " << shrink;
        }
      }
    }
  }
}

TEST(PlainJpeg, ReadsTheOrientation) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const std::string bytes = Jpeg(20, 10, 3, "", 5, orientation);
    const auto plain = PlainJpeg::Open(AsBytes(bytes));
    ASSERT_NE(plain, nullptr);
    EXPECT_EQ(plain->orientation(), orientation);
  }
}

TEST(PlainJpeg, LeavesWhatIsOddToLibvips) {
  const auto is_plain = [](std::string_view bytes) { return PlainJpeg::Open(AsBytes(bytes)) != nullptr; };
  const std::string bytes = Jpeg(240, 130, 3, "", 6);
  EXPECT_TRUE(is_plain(bytes));
  EXPECT_FALSE(is_plain(Jpeg(40, 30, 3, "[interlace]", 6))) << "progressive";
  EXPECT_FALSE(is_plain(Jpeg(40, 30, 3, "[profile=p3]", 6))) << "a profile that is not sRGB";
  EXPECT_TRUE(is_plain(Jpeg(40, 30, 3, "[profile=srgb]", 6)));
  EXPECT_FALSE(is_plain(bytes.substr(0, 100)));
  EXPECT_FALSE(is_plain(""));
  Pixels pixels;
  const std::string half = bytes.substr(0, bytes.size() / 2);
  const auto cut = PlainJpeg::Open(AsBytes(half));
  ASSERT_NE(cut, nullptr);
  EXPECT_FALSE(cut->Decode(1, pixels));
}

// A plain file with an Exif segment of that content right behind its start.
std::string WithExif(const std::string& jpeg, const std::string& tiff) {
  std::string segment = std::string("Exif\0\0", 6) + tiff;
  const size_t size = segment.size() + 2;
  return jpeg.substr(0, 2) + "\xff\xe1" + static_cast<char>(size >> 8) + static_cast<char>(size & 255) + segment +
         jpeg.substr(2);
}

TEST(PlainJpeg, TrustsOnlyExifThatIsAsItShouldBe) {
  const std::string jpeg = Jpeg(20, 10, 3, "[strip]", 7);
  const auto tiff = [](char type, char count, char value) {
    return std::string("II*\0\x08\0\0\0\x01\0\x12\x01", 12) + type + '\0' + count + std::string(3, '\0') + value +
           std::string(3, '\0') + std::string(4, '\0');
  };
  const auto orientation = [&](const std::string& exif) {
    const std::string bytes = WithExif(jpeg, exif);
    const auto plain = PlainJpeg::Open(AsBytes(bytes));
    return plain == nullptr ? 0 : plain->orientation();
  };
  EXPECT_EQ(orientation(tiff(3, 1, 6)), 6);
  EXPECT_EQ(orientation(tiff(3, 1, 9)), 0);
  EXPECT_EQ(orientation(tiff(3, 1, 0)), 0);
  EXPECT_EQ(orientation(tiff(4, 1, 6)), 0) << "of another type";
  EXPECT_EQ(orientation(tiff(3, 2, 6)), 0) << "two values";
  EXPECT_EQ(orientation(std::string("MM\0*\0\0\0\x08\0\0", 10)), 1) << "no entries";
  for (size_t size = 0; size < 22; ++size) EXPECT_EQ(orientation(tiff(3, 1, 6).substr(0, size)), 0) << size;
}

TEST(PlainJpeg, DamageIsJudgedAsByLibvipsAlone) {
  constexpr uint64_t kSeed = 44;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  Random random(kSeed);
  const std::string whole = Jpeg(90, 70, 3, "[Q=80]", 8);
  for (int i = 0; i < 400; ++i) {
    std::string bytes = whole;
    for (uint64_t changes = 1 + random.Below(3); changes > 0; --changes) {
      bytes[2 + random.Below(bytes.size() - 2)] = static_cast<char>(random.Below(256));
    }
    if (random.Below(4) == 0) bytes.resize(random.Below(bytes.size()));
    const Pixels truth = ByVips(bytes, 1);
    const auto plain = PlainJpeg::Open(AsBytes(bytes));
    Pixels pixels;
    if (plain == nullptr || plain->orientation() != 1 || !plain->Decode(1, pixels)) continue;
    ASSERT_EQ(pixels.rgb, truth.rgb) << "change " << i;
  }
}

}  // namespace
}  // namespace likeness
