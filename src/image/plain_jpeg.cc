#include "image/plain_jpeg.h"

#include <jpeglib.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>

namespace likeness {
namespace {

using namespace std::string_view_literals;

constexpr int kExifMarker = JPEG_APP0 + 1;
constexpr int kProfileMarker = JPEG_APP0 + 2;

// The orientation that an Exif segment states (Exif 2.3; TIFF 6.0, tag 274); 1 when it states none. Nothing when the
// segment is not exactly as it should be.
std::optional<int> ReadOrientation(std::string_view exif) {
  const std::string_view tiff = exif.substr(6);
  if (tiff.size() < 8) return std::nullopt;
  const bool little = tiff.starts_with("II*\0"sv);
  if (!little && !tiff.starts_with("MM\0*"sv)) return std::nullopt;
  const auto number = [&](size_t at, size_t size) {
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value = value << 8 | static_cast<uint8_t>(tiff[little ? at + size - 1 - i : at + i]);
    }
    return value;
  };
  const size_t directory = number(4, 4);
  if (directory < 8 || directory + 2 > tiff.size()) return std::nullopt;
  const size_t entries = number(directory, 2);
  if (directory + 2 + entries * 12 > tiff.size()) return std::nullopt;
  std::optional<int> found;
  for (size_t i = 0; i < entries; ++i) {
    const size_t at = directory + 2 + i * 12;
    if (number(at, 2) != 274) continue;
    if (found || number(at + 2, 2) != 3 || number(at + 4, 4) != 1) return std::nullopt;
    const uint32_t value = number(at + 8, 2);
    if (value < 1 || value > 8) return std::nullopt;
    found = static_cast<int>(value);
  }
  return found.value_or(1);
}

}  // namespace

// What libjpeg needs; its errors and its warnings jump back to `jump`.
struct PlainJpeg::Library {
  jpeg_decompress_struct jpeg = {};
  jpeg_error_mgr errors = {};
  std::jmp_buf jump;
  bool made = false;
};

PlainJpeg::PlainJpeg(std::unique_ptr<Library> library) : library_(std::move(library)) {}

PlainJpeg::~PlainJpeg() {
  if (library_->made) jpeg_destroy_decompress(&library_->jpeg);
}

uint32_t PlainJpeg::width() const { return library_->jpeg.image_width; }
uint32_t PlainJpeg::height() const { return library_->jpeg.image_height; }

std::unique_ptr<PlainJpeg> PlainJpeg::Open(std::span<const std::byte> bytes) {
  std::unique_ptr<PlainJpeg> plain(new PlainJpeg(std::make_unique<Library>()));
  if (!plain->ReadHeader(bytes) || !plain->ReadMarkers()) return nullptr;
  return plain;
}

// Nothing with a destructor may live in a function that is jumped back to.
bool PlainJpeg::ReadHeader(std::span<const std::byte> bytes) {
  jpeg_decompress_struct& jpeg = library_->jpeg;
  jpeg.err = jpeg_std_error(&library_->errors);
  jpeg.client_data = library_.get();
  library_->errors.error_exit = [](j_common_ptr common) {
    std::longjmp(static_cast<Library*>(common->client_data)->jump, 1);
  };
  library_->errors.emit_message = [](j_common_ptr common, int level) {
    if (level < 0) std::longjmp(static_cast<Library*>(common->client_data)->jump, 1);
  };
  if (setjmp(library_->jump) != 0) return false;
  jpeg_create_decompress(&jpeg);
  library_->made = true;
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&jpeg, kExifMarker, 0xffff);
  jpeg_save_markers(&jpeg, kProfileMarker, 0xffff);
  if (jpeg_read_header(&jpeg, TRUE) != JPEG_HEADER_OK) return false;
  const bool channels =
      jpeg.num_components == 1 ||
      (jpeg.num_components == 3 && (jpeg.jpeg_color_space == JCS_YCbCr || jpeg.jpeg_color_space == JCS_RGB));
  return channels && jpeg.data_precision == 8 && jpeg.progressive_mode == FALSE && jpeg.arith_code == FALSE &&
         jpeg_has_multiple_scans(&jpeg) == FALSE;
}

bool PlainJpeg::ReadMarkers() {
  bool exif = false, profile = false;
  for (const jpeg_marker_struct* marker = library_->jpeg.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (marker->marker == kExifMarker && data.starts_with("Exif\0\0"sv)) {
      const std::optional<int> orientation = exif ? std::nullopt : ReadOrientation(data);
      if (!orientation) return false;
      orientation_ = *orientation;
      exif = true;
    }
    if (marker->marker == kProfileMarker && data.starts_with("ICC_PROFILE\0"sv)) {
      // One piece that names itself sRGB is taken for sRGB, as for all formats.
      const bool srgb = data.find("sRGB"sv) != data.npos || data.find("s\0R\0G\0B"sv) != data.npos;
      if (profile || !srgb || data.size() < 14 || data[12] != 1 || data[13] != 1) return false;
      profile = true;
    }
  }
  return true;
}

bool PlainJpeg::Decode(uint32_t shrink, Pixels& pixels) {
  jpeg_decompress_struct& jpeg = library_->jpeg;
  jpeg.scale_num = 1;
  jpeg.scale_denom = shrink;
  jpeg.out_color_space = JCS_RGB;
  pixels.width = jpeg.image_width / shrink;
  pixels.height = jpeg.image_height / shrink;
  if (pixels.width == 0 || pixels.height == 0) return false;
  pixels.rgb.resize(size_t{pixels.width} * pixels.height * 3);
  // The library rounds up; what is not a whole pixel is dropped, as libvips does.
  std::vector<uint8_t> wide_row;
  if (jpeg.image_width % shrink != 0) wide_row.resize((size_t{pixels.width} + 1) * 3);
  return ReadPixels(pixels, wide_row);
}

bool PlainJpeg::ReadPixels(Pixels& pixels, std::vector<uint8_t>& wide_row) {
  jpeg_decompress_struct& jpeg = library_->jpeg;
  if (setjmp(library_->jump) != 0) return false;
  if (jpeg_start_decompress(&jpeg) == FALSE || jpeg.output_components != 3) return false;
  const size_t stride = size_t{pixels.width} * 3;
  if (size_t{jpeg.output_width} * 3 != (wide_row.empty() ? stride : wide_row.size()) ||
      jpeg.output_height < pixels.height) {
    return false;
  }
  constexpr JDIMENSION kRows = 16;
  while (jpeg.output_scanline < pixels.height) {
    JSAMPROW rows[kRows];
    const JDIMENSION top = jpeg.output_scanline, left = pixels.height - top;
    const JDIMENSION count = !wide_row.empty() ? 1 : left < kRows ? left : kRows;
    for (JDIMENSION i = 0; i < count; ++i) rows[i] = pixels.rgb.data() + (top + i) * stride;
    if (!wide_row.empty()) rows[0] = wide_row.data();
    if (jpeg_read_scanlines(&jpeg, rows, count) == 0) return false;
    if (!wide_row.empty()) std::memcpy(pixels.rgb.data() + top * stride, wide_row.data(), stride);
  }
  if (jpeg.output_scanline < jpeg.output_height) jpeg_skip_scanlines(&jpeg, jpeg.output_height - jpeg.output_scanline);
  return jpeg_finish_decompress(&jpeg) != FALSE;
}

}  // namespace likeness
