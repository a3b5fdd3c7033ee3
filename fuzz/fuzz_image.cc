// The decode door: any bytes either become pixels within the limits or are refused as a fault in the data.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/log.h"
#include "base/status.h"
#include "image/decode.h"
#include "image/resample.h"

using namespace likeness;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  SetLogLevel(LogLevel::kError);
  return 0;
}

// The first byte chooses by how much the picture is reduced, the others are the file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint32_t at_least = data[0] & 0x3f;
  const std::span bytes(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  const ImageLimits limits = {.max_pixels = 1 << 20, .max_bytes = 1 << 20};
  const auto header = ReadImageHeader(bytes, limits);
  const auto pixels = DecodeImage(bytes, limits, at_least == 0 ? kFullSize : DecodeSize{at_least, 0});
  if (!pixels.ok()) {
    LIKENESS_CHECK(BlameOf(pixels.status()) == Blame::kData);
    return 0;
  }
  LIKENESS_CHECK(header.ok());
  LIKENESS_CHECK(header->width == pixels->full_width && header->height == pixels->full_height);
  LIKENESS_CHECK(uint64_t{pixels->full_width} * pixels->full_height <= limits.max_pixels);
  LIKENESS_CHECK(pixels->rgb.size() == size_t{3} * pixels->width * pixels->height);
  const uint32_t shorter = std::min(header->width, header->height);
  LIKENESS_CHECK(std::min(pixels->width, pixels->height) >= std::min(shorter, at_least == 0 ? shorter : at_least));
  LIKENESS_CHECK(Resample(*pixels, std::nullopt, {32, 32}).ok());
  return 0;
}
