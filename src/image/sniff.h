// What a file is, told from its first bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace likeness {

enum class ImageFormat { kNone, kJpeg, kPng, kWebp, kGif, kTiff, kHeic, kAvif };

// kNone for everything that is not read, including formats that libvips would know (SVG, PDF, JPEG XL, BMP, ...).
ImageFormat SniffImageFormat(std::span<const std::byte> bytes);

// "jpeg", "png", ...; "none".
std::string_view ImageFormatName(ImageFormat format);

// Whether the file visibly ends too early for its format: the mark that closes it is missing, or a length that it
// states itself points behind its end. A guess for messages; false where the format gives no cheap way to know.
bool LooksCutOff(ImageFormat format, std::span<const std::byte> bytes);

}  // namespace likeness
