#include "image/sniff.h"

#include <algorithm>
#include <cstdint>

#include "base/bytes.h"

namespace likeness {
namespace {

using namespace std::string_view_literals;

uint32_t LittleEndian32(std::string_view text, size_t at) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<uint8_t>(text[at + i]);
  return value;
}

uint32_t BigEndian32(std::string_view text, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(text[at + i]);
  return value;
}

// ISO/IEC 14496-12: the first box is `ftyp` with a major brand, a version, and compatible brands.
ImageFormat SniffBrands(std::string_view text) {
  if (text.size() < 16 || text.substr(4, 4) != "ftyp") return ImageFormat::kNone;
  const size_t end = std::min<size_t>({BigEndian32(text, 0), text.size(), 256});
  ImageFormat found = ImageFormat::kNone;
  for (size_t at = 8; at + 4 <= end; at += at == 8 ? 8 : 4) {
    const std::string_view brand = text.substr(at, 4);
    if (brand == "avif" || brand == "avis") return ImageFormat::kAvif;
    for (const std::string_view heic : {"heic"sv, "heix"sv, "hevc"sv, "hevx"sv, "heim"sv, "heis"sv, "mif1"sv}) {
      if (brand == heic) found = ImageFormat::kHeic;
    }
  }
  return found;
}

}  // namespace

ImageFormat SniffImageFormat(std::span<const std::byte> bytes) {
  const std::string_view text = AsText(bytes);
  if (text.starts_with("\xff\xd8\xff")) return ImageFormat::kJpeg;
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return ImageFormat::kPng;
  if (text.starts_with("GIF87a") || text.starts_with("GIF89a")) return ImageFormat::kGif;
  if (text.starts_with("RIFF") && text.size() >= 12 && text.substr(8, 4) == "WEBP") return ImageFormat::kWebp;
  for (const std::string_view tiff : {"II*\0"sv, "MM\0*"sv, "II+\0"sv, "MM\0+"sv}) {
    if (text.starts_with(tiff)) return ImageFormat::kTiff;
  }
  return SniffBrands(text);
}

std::string_view ImageFormatName(ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg:
      return "jpeg";
    case ImageFormat::kPng:
      return "png";
    case ImageFormat::kWebp:
      return "webp";
    case ImageFormat::kGif:
      return "gif";
    case ImageFormat::kTiff:
      return "tiff";
    case ImageFormat::kHeic:
      return "heic";
    case ImageFormat::kAvif:
      return "avif";
    case ImageFormat::kNone:
      break;
  }
  return "none";
}

bool LooksCutOff(ImageFormat format, std::span<const std::byte> bytes) {
  const std::string_view text = AsText(bytes);
  switch (format) {
    case ImageFormat::kJpeg:
      return text.find("\xff\xd9", text.size() - std::min<size_t>(text.size(), 4096)) == std::string_view::npos;
    case ImageFormat::kPng:
      return text.find("IEND", text.size() - std::min<size_t>(text.size(), 4096)) == std::string_view::npos;
    case ImageFormat::kGif:
      return text.back() != ';';
    case ImageFormat::kWebp:
      return LittleEndian32(text, 4) + uint64_t{8} > text.size();
    case ImageFormat::kHeic:
    case ImageFormat::kAvif:
      for (uint64_t at = 0; at < text.size();) {  // the boxes of the file, one behind another
        if (text.size() - at < 8) return true;
        const uint32_t size = BigEndian32(text, at);
        if (size < 8) return false;
        at += size;
        if (at > text.size()) return true;
      }
      return false;
    default:
      return false;
  }
}

}  // namespace likeness
