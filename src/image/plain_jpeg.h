// The short way through libjpeg-turbo for JPEG files that have nothing odd about them. Not for other rooms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "image/pixels.h"

namespace likeness {

// One file between header and pixels. Gives the same pixels as libvips does, or nothing: of files that are progressive,
// of several scans, of four channels, with a color profile that is not sRGB, with metadata that cannot be read at a
// glance, or with anything that the library so much as warns about, libvips decides. One thread.
class PlainJpeg {
 public:
  // Null when the file is not plain as far as its header shows. `bytes` must outlive the object.
  static std::unique_ptr<PlainJpeg> Open(std::span<const std::byte> bytes);
  ~PlainJpeg();
  PlainJpeg(const PlainJpeg&) = delete;
  PlainJpeg& operator=(const PlainJpeg&) = delete;

  uint32_t width() const;  // as stored
  uint32_t height() const;
  int orientation() const { return orientation_; }  // EXIF, 1..8

  // Fills width, height and rgb with the stored picture divided by `shrink` (1, 2, 4 or 8), rounded down. False
  // when anything is wrong with the data, or nothing is left. Once.
  bool Decode(uint32_t shrink, Pixels& pixels);

 private:
  struct Library;
  explicit PlainJpeg(std::unique_ptr<Library> library);
  bool ReadHeader(std::span<const std::byte> bytes);
  bool ReadPixels(Pixels& pixels, std::vector<uint8_t>& wide_row);
  bool ReadMarkers();

  std::unique_ptr<Library> library_;
  int orientation_ = 1;
};

}  // namespace likeness
