// The decode door: untrusted bytes become pixels here and nowhere else.
//
// The format is told from the first bytes, never from a name. JPEG, PNG, WebP, GIF, TIFF, HEIC and AVIF are read; of an
// animation or a document the first frame or page. EXIF orientation is applied, color is brought to sRGB (CMYK and
// embedded profiles included), 16 bits become 8, alpha is laid on white.
//
// Errors, in sentences that finish "this image cannot be read: ":
//   Unimplemented  the bytes are no image, or one in a format that is not read
//   OutOfRange     a limit is exceeded; the message names the limit and the value
//   DataLoss       damaged, truncated, or empty
//
// Any thread; nothing is shared between calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"
#include "image/decode_size.h"
#include "image/limits.h"
#include "image/pixels.h"

namespace likeness {

struct ImageHeader {
  uint32_t width = 0;  // of the upright picture
  uint32_t height = 0;
  std::string format;  // "jpeg" "png" "webp" "gif" "tiff" "heic" "avif"
};

// Reads the header only and checks the limits. A picture whose header is good may still turn out damaged.
absl::StatusOr<ImageHeader> ReadImageHeader(std::span<const std::byte> bytes, const ImageLimits& limits = {});

// Decodes to a picture of at least `size`. The same bytes and size always give the same pixels.
// Memory: 3 bytes a pixel of the result; interlaced files and HEIC, AVIF and WebP are decoded whole by their libraries
// first (up to 8 bytes a pixel of the original).
absl::StatusOr<Pixels> DecodeImage(std::span<const std::byte> bytes, const ImageLimits& limits = {},
                                   const DecodeSize& size = kFullSize);

}  // namespace likeness
