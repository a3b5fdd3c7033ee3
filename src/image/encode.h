// Pixels to JPEG.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"
#include "image/limits.h"
#include "image/pixels.h"

namespace likeness {

// A baseline JPEG without metadata. quality: 1..100. Errors: InvalidArgument (empty pixels or quality out of range),
// Internal. Any thread.
absl::StatusOr<std::string> EncodeJpeg(const Pixels& pixels, int quality);

// Decodes, reduces to `longest_side` pixels (a smaller picture keeps its size) and encodes as JPEG of quality 85.
// Errors: those of DecodeImage; InvalidArgument when longest_side is 0. Any thread.
absl::StatusOr<std::string> MakeThumbnail(std::span<const std::byte> bytes, const ImageLimits& limits,
                                          uint32_t longest_side);

}  // namespace likeness
