#include "image/encode.h"

#include <algorithm>
#include <cmath>

#include "image/decode.h"
#include "image/resample.h"
#include "image/vips.h"

namespace likeness {

absl::StatusOr<std::string> EncodeJpeg(const Pixels& pixels, int quality) {
  if (pixels.rgb.empty() || quality < 1 || quality > 100) {
    return absl::InvalidArgumentError("a JPEG needs pixels, and a quality from 1 to 100");
  }
  if (!StartVips()) return absl::InternalError("libvips cannot start");
  VipsImage* raw = vips_image_new_from_memory(pixels.rgb.data(), pixels.rgb.size(), static_cast<int>(pixels.width),
                                              static_cast<int>(pixels.height), 3, VIPS_FORMAT_UCHAR);
  if (raw == nullptr) {
    LogVipsError("jpeg_encode");
    return absl::InternalError("the picture cannot be encoded as JPEG");
  }
  const VipsImagePtr image(raw);
  raw->Type = VIPS_INTERPRETATION_sRGB;
  void* data = nullptr;
  size_t size = 0;
  if (vips_jpegsave_buffer(raw, &data, &size, "Q", quality, "strip", TRUE, nullptr) != 0) {
    LogVipsError("jpeg_encode");
    return absl::InternalError("the picture cannot be encoded as JPEG");
  }
  std::string jpeg(static_cast<const char*>(data), size);
  g_free(data);
  return jpeg;
}

absl::StatusOr<std::string> MakeThumbnail(std::span<const std::byte> bytes, const ImageLimits& limits,
                                          uint32_t longest_side) {
  if (longest_side == 0) return absl::InvalidArgumentError("a thumbnail needs a size above 0");
  LIKENESS_ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(bytes, limits));
  const double longer = std::max(header.width, header.height);
  const double scale = std::min(1.0, longest_side / longer);
  const auto side = [&](uint32_t full) { return static_cast<uint32_t>(std::max(1L, std::lround(full * scale))); };
  ResampleOptions options;
  options.width = side(header.width);
  options.height = side(header.height);
  options.fit = Fit::kStretch;
  const DecodeSize size{std::min(options.width, options.height), std::max(options.width, options.height)};
  LIKENESS_ASSIGN_OR_RETURN(Pixels pixels, DecodeImage(bytes, limits, size));
  if (pixels.width != options.width || pixels.height != options.height) {
    LIKENESS_ASSIGN_OR_RETURN(pixels, Resample(pixels, std::nullopt, options));
  }
  return EncodeJpeg(pixels, 85);
}

}  // namespace likeness
