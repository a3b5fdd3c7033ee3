#include "image/decode.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "image/plain_jpeg.h"
#include "image/sniff.h"
#include "image/vips.h"

namespace likeness {
namespace {

constexpr VipsFailOn kFailOn = VIPS_FAIL_ON_ERROR;  // truncated counts as an error; libraries' warnings do not

std::string UpperName(ImageFormat format) {
  std::string name(ImageFormatName(format));
  for (char& c : name) c = static_cast<char>(c - 'a' + 'A');
  return name;
}

absl::Status Damaged(ImageFormat format, std::span<const std::byte> bytes) {
  LogVipsError("image_damaged");
  if (LooksCutOff(format, bytes)) {
    return absl::DataLossError("the file is cut off: it ends before its " + UpperName(format) + " data does");
  }
  return absl::DataLossError("the " + UpperName(format) + " data is damaged");
}

absl::StatusOr<ImageFormat> CheckBytes(std::span<const std::byte> bytes, const ImageLimits& limits) {
  if (bytes.empty()) return absl::DataLossError("the file is empty");
  if (bytes.size() > limits.max_bytes) {
    return absl::OutOfRangeError("the file has " + std::to_string(bytes.size()) + " bytes and the limit is " +
                                 std::to_string(limits.max_bytes));
  }
  const ImageFormat format = SniffImageFormat(bytes);
  if (format == ImageFormat::kNone) {
    return absl::UnimplementedError("it is not a JPEG, PNG, WebP, GIF, TIFF, HEIC or AVIF picture");
  }
  if (!StartVips()) {
    LogVipsError("vips_start");
    return absl::InternalError("libvips cannot start");
  }
  return format;
}

absl::Status CheckSize(uint64_t width, uint64_t height, const ImageLimits& limits) {
  const std::string size = std::to_string(width) + " x " + std::to_string(height);
  if (width * height > limits.max_pixels) {
    return absl::OutOfRangeError("the picture is " + size + " pixels and the limit is " +
                                 std::to_string(limits.max_pixels) + " pixels in all");
  }
  if (static_cast<double>(std::max(width, height)) > limits.max_aspect * static_cast<double>(std::min(width, height))) {
    char limit[32];
    std::snprintf(limit, sizeof(limit), "%g", limits.max_aspect);
    return absl::OutOfRangeError("the picture is " + size + " pixels, and its sides may differ by a factor of " +
                                 limit + " at most");
  }
  return absl::OkStatus();
}

// Reads the header; pixels follow when they are asked for. Null when libvips refuses.
VipsImagePtr OpenImage(ImageFormat format, std::span<const std::byte> bytes, int jpeg_shrink) {
  void* data = const_cast<std::byte*>(bytes.data());  // libvips only reads it
  VipsImage* image = nullptr;
  int failed = 1;
  switch (format) {
    case ImageFormat::kJpeg:
      failed = vips_jpegload_buffer(data, bytes.size(), &image, "shrink", jpeg_shrink, "access", VIPS_ACCESS_SEQUENTIAL,
                                    "fail_on", kFailOn, nullptr);
      break;
    case ImageFormat::kPng:
      failed = vips_pngload_buffer(data, bytes.size(), &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", kFailOn,
                                   nullptr);
      break;
    case ImageFormat::kWebp:
      failed = vips_webpload_buffer(data, bytes.size(), &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", kFailOn,
                                    nullptr);
      break;
    case ImageFormat::kGif:
      failed = vips_gifload_buffer(data, bytes.size(), &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", kFailOn,
                                   nullptr);
      break;
    case ImageFormat::kTiff:
      failed = vips_tiffload_buffer(data, bytes.size(), &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", kFailOn,
                                    nullptr);
      break;
    case ImageFormat::kHeic:
    case ImageFormat::kAvif:
      failed = vips_heifload_buffer(data, bytes.size(), &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", kFailOn,
                                    nullptr);
      break;
    case ImageFormat::kNone:
      break;
  }
  return failed != 0 ? nullptr : VipsImagePtr(image);
}

struct Opened {
  ImageFormat format;
  VipsImagePtr image;
  int orientation;  // EXIF, 1..8
  uint32_t width;   // upright
  uint32_t height;
};

absl::StatusOr<Opened> OpenChecked(std::span<const std::byte> bytes, const ImageLimits& limits) {
  LIKENESS_ASSIGN_OR_RETURN(const ImageFormat format, CheckBytes(bytes, limits));
  VipsImagePtr image = OpenImage(format, bytes, 1);
  if (image == nullptr) return Damaged(format, bytes);
  auto width = static_cast<uint32_t>(vips_image_get_width(image.get()));
  auto height = static_cast<uint32_t>(vips_image_get_height(image.get()));
  LIKENESS_RETURN_IF_ERROR(CheckSize(width, height, limits));
  const int orientation = std::clamp(vips_image_get_orientation(image.get()), 1, 8);
  if (orientation >= 5) std::swap(width, height);
  return Opened{format, std::move(image), orientation, width, height};
}

// Replaces `image` by what a libvips operation makes of it; false when the operation fails.
template <typename Operation>
bool Apply(VipsImagePtr& image, const Operation& operation) {
  VipsImage* out = nullptr;
  if (operation(image.get(), &out) != 0) return false;
  image.reset(out);
  return true;
}

// Whether there is a profile that says something else than sRGB.
bool HasForeignProfile(VipsImage* image) {
  const void* data = nullptr;
  size_t size = 0;
  if (vips_image_get_typeof(image, VIPS_META_ICC_NAME) == 0 ||
      vips_image_get_blob(image, VIPS_META_ICC_NAME, &data, &size) != 0) {
    return false;
  }
  const std::string_view profile(static_cast<const char*>(data), size);
  using namespace std::string_view_literals;
  return profile.find("sRGB"sv) == std::string_view::npos && profile.find("s\0R\0G\0B"sv) == std::string_view::npos;
}

// Three bands of 8 bits, sRGB. False: `image` is of a kind that has no color meaning.
bool ToSrgb(VipsImagePtr& image) {
  const VipsInterpretation meaning = vips_image_guess_interpretation(image.get());
  const VipsBandFormat samples = vips_image_get_format(image.get());
  const bool integer = samples == VIPS_FORMAT_UCHAR || samples == VIPS_FORMAT_USHORT;
  const bool cmyk = meaning == VIPS_INTERPRETATION_CMYK;
  const int bands = vips_image_get_bands(image.get());
  const int color_bands = cmyk ? 4 : bands >= 3 ? 3 : 1;
  if (vips_band_format_iscomplex(samples) || bands < color_bands) return false;

  VipsImagePtr alpha;
  if (bands > color_bands) {
    VipsImage* out = nullptr;
    if (vips_extract_band(image.get(), &out, color_bands, nullptr) != 0) return false;
    alpha.reset(out);
    if (samples == VIPS_FORMAT_USHORT &&
        !Apply(alpha, [](VipsImage* in, VipsImage** out) { return vips_rshift_const1(in, out, 8, nullptr); })) {
      return false;
    }
    if (!Apply(alpha, [](VipsImage* in, VipsImage** out) { return vips_cast_uchar(in, out, nullptr); }) ||
        !Apply(image, [&](VipsImage* in, VipsImage** out) {
          return vips_extract_band(in, out, 0, "n", color_bands, nullptr);
        })) {
      return false;
    }
  }

  const bool plain = meaning == VIPS_INTERPRETATION_sRGB && samples == VIPS_FORMAT_UCHAR && color_bands == 3;
  const bool managed = integer && HasForeignProfile(image.get()) && Apply(image, [](VipsImage* in, VipsImage** out) {
                         return vips_icc_transform(in, out, "srgb", "embedded", TRUE, "intent", VIPS_INTENT_RELATIVE,
                                                   "black_point_compensation", TRUE, "depth", 8, nullptr);
                       });
  if (!managed && !plain) {
    // Formats without a stated meaning (TIFF of one band, of 16 bits) have been guessed at; say so before converting.
    if (!Apply(image, [&](VipsImage* in,
                          VipsImage** out) { return vips_copy(in, out, "interpretation", meaning, nullptr); }) ||
        !Apply(image, [](VipsImage* in, VipsImage** out) {
          return vips_colourspace(in, out, VIPS_INTERPRETATION_sRGB, nullptr);
        })) {
      return false;
    }
  }
  if (vips_image_get_bands(image.get()) != 3) return false;
  if (vips_image_get_format(image.get()) != VIPS_FORMAT_UCHAR &&
      !Apply(image, [](VipsImage* in, VipsImage** out) { return vips_cast_uchar(in, out, nullptr); })) {
    return false;
  }
  if (alpha == nullptr) return true;
  const double white[] = {255, 255, 255};
  VipsArrayDouble* background = vips_array_double_new(white, 3);
  const bool flat =
      Apply(image, [&](VipsImage* in, VipsImage** out) { return vips_bandjoin2(in, alpha.get(), out, nullptr); }) &&
      Apply(image, [&](VipsImage* in, VipsImage** out) {
        return vips_flatten(in, out, "background", background, "max_alpha", 255.0, nullptr);
      });
  vips_area_unref(VIPS_AREA(background));
  return flat;
}

// Pulls the pixels through the pipeline on this thread, a strip at a time.
bool CopyPixels(VipsImage* image, std::vector<uint8_t>& rgb) {
  const int width = vips_image_get_width(image), height = vips_image_get_height(image);
  const size_t row_bytes = static_cast<size_t>(width) * 3;
  rgb.resize(row_bytes * static_cast<size_t>(height));
  const VipsRegionPtr region(vips_region_new(image));
  constexpr int kStrip = 16;
  for (int top = 0; top < height; top += kStrip) {
    const VipsRect strip = {0, top, width, std::min(kStrip, height - top)};
    if (vips_region_prepare(region.get(), &strip) != 0) return false;
    for (int y = top; y < top + strip.height; ++y) {
      std::memcpy(&rgb[row_bytes * static_cast<size_t>(y)], VIPS_REGION_ADDR(region.get(), 0, y), row_bytes);
    }
  }
  return true;
}

// Turns stored pixels upright, by EXIF orientation (TIFF 6.0, tag 274).
void Upright(int orientation, Pixels& pixels) {
  if (orientation == 1) return;
  const size_t stored_width = pixels.width, stored_height = pixels.height;
  const bool turned = orientation >= 5;
  const size_t width = turned ? stored_height : stored_width, height = turned ? stored_width : stored_height;
  // Where the stored picture's column 0 and row 0 are seen.
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  std::vector<uint8_t> out(pixels.rgb.size());
  for (size_t y = 0; y < height; ++y) {
    for (size_t x = 0; x < width; ++x) {
      size_t from_x = turned ? y : x, from_y = turned ? x : y;
      if (flip_x) from_x = stored_width - 1 - from_x;
      if (flip_y) from_y = stored_height - 1 - from_y;
      std::memcpy(&out[(y * width + x) * 3], &pixels.rgb[(from_y * stored_width + from_x) * 3], 3);
    }
  }
  pixels.rgb = std::move(out);
  pixels.width = static_cast<uint32_t>(width);
  pixels.height = static_cast<uint32_t>(height);
}

// By which the decoder of JPEG divides for less work, its inverse transform giving 1/2, 1/4 and 1/8.
uint32_t InDecoder(uint32_t shrink) { return shrink >= 8 ? 8 : shrink >= 4 ? 4 : shrink >= 2 ? 2 : 1; }

// The short way for the JPEG files that most pictures are. Nothing where the long way must be gone: whatever is odd or
// damaged is left to it, so that there is one place that says why.
absl::StatusOr<std::optional<Pixels>> DecodePlain(std::span<const std::byte> bytes, const ImageLimits& limits,
                                                  const DecodeSize& size) {
  if (bytes.size() > limits.max_bytes || SniffImageFormat(bytes) != ImageFormat::kJpeg) return std::nullopt;
  const auto jpeg = PlainJpeg::Open(bytes);
  if (jpeg == nullptr) return std::nullopt;
  LIKENESS_RETURN_IF_ERROR(CheckSize(jpeg->width(), jpeg->height(), limits));
  const uint32_t shrink = ShrinkFor(size, jpeg->width(), jpeg->height()), in_decoder = InDecoder(shrink);
  Pixels pixels;
  if (shrink / in_decoder >= 2 || !jpeg->Decode(in_decoder, pixels)) return std::nullopt;
  pixels.full_width = jpeg->width();
  pixels.full_height = jpeg->height();
  if (jpeg->orientation() >= 5) std::swap(pixels.full_width, pixels.full_height);
  Upright(jpeg->orientation(), pixels);
  return pixels;
}

}  // namespace

absl::StatusOr<ImageHeader> ReadImageHeader(std::span<const std::byte> bytes, const ImageLimits& limits) {
  LIKENESS_ASSIGN_OR_RETURN(const ImageFormat format, CheckBytes(bytes, limits));
  if (format == ImageFormat::kJpeg) {
    if (const auto plain = PlainJpeg::Open(bytes)) {
      LIKENESS_RETURN_IF_ERROR(CheckSize(plain->width(), plain->height(), limits));
      const bool turned = plain->orientation() >= 5;
      return ImageHeader{turned ? plain->height() : plain->width(), turned ? plain->width() : plain->height(), "jpeg"};
    }
  }
  LIKENESS_ASSIGN_OR_RETURN(const Opened opened, OpenChecked(bytes, limits));
  return ImageHeader{opened.width, opened.height, std::string(ImageFormatName(opened.format))};
}

absl::StatusOr<Pixels> DecodeImage(std::span<const std::byte> bytes, const ImageLimits& limits,
                                   const DecodeSize& size) {
  LIKENESS_ASSIGN_OR_RETURN(std::optional<Pixels> plain, DecodePlain(bytes, limits, size));
  if (plain) return *std::move(plain);
  LIKENESS_ASSIGN_OR_RETURN(Opened opened, OpenChecked(bytes, limits));
  VipsImagePtr& image = opened.image;
  uint32_t shrink = ShrinkFor(size, opened.width, opened.height);
  if (opened.format == ImageFormat::kJpeg && shrink >= 2) {
    const uint32_t in_decoder = InDecoder(shrink);
    image = OpenImage(opened.format, bytes, static_cast<int>(in_decoder));
    if (image == nullptr) return Damaged(opened.format, bytes);
    shrink /= in_decoder;
  }
  if (!ToSrgb(image)) {
    LogVipsError("image_color");
    return absl::UnimplementedError("the " + UpperName(opened.format) +
                                    " picture has a kind of color that is not read");
  }
  if (shrink >= 2 &&
      !Apply(image, [&](VipsImage* in, VipsImage** out) { return vips_shrink(in, out, shrink, shrink, nullptr); })) {
    return Damaged(opened.format, bytes);
  }
  Pixels pixels;
  pixels.width = static_cast<uint32_t>(vips_image_get_width(image.get()));
  pixels.height = static_cast<uint32_t>(vips_image_get_height(image.get()));
  if (!CopyPixels(image.get(), pixels.rgb)) return Damaged(opened.format, bytes);
  Upright(opened.orientation, pixels);
  pixels.full_width = opened.width;
  pixels.full_height = opened.height;
  return pixels;
}

}  // namespace likeness
