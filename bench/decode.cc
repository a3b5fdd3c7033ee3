// JPEG bytes of 1024 x 768 to the 224 x 224 tensor that networks take, one core, beside the way through libvips.
//
// The peer reads the same bytes with libvips, reduced by two in the decoder, takes the same middle of it to 224 x 224
// with libvips' own cubic kernel, and brings it to floats. Times are of the thread's own processor time; both go over
// the same files in turn, and the figures are medians over rounds.
#include "image/decode.h"

#include <vips/vips.h>

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "bench/pictures.h"
#include "bench/report.h"
#include "image/resample.h"
#include "kernel/cpu.h"

namespace likeness {
namespace {

constexpr uint32_t kSide = 224;
constexpr std::array<float, 3> kMean = {123.675f, 116.28f, 103.53f}, kScale = {0.01712f, 0.01751f, 0.01743f};

bool Ours(const std::string& jpeg, std::span<float> tensor) {
  const auto pixels = DecodeImage(AsBytes(jpeg), {}, kStandardSize);
  return pixels.ok() &&
         ResampleToTensor(*pixels, std::nullopt, {kSide, kSide, Fit::kCrop}, {true, false, kMean, kScale}, tensor).ok();
}

bool ByVips(const std::string& jpeg, std::span<float> tensor) {
  VipsImage *image = nullptr, *cut = nullptr, *sized = nullptr;
  void* data = const_cast<char*>(jpeg.data());
  bool ok =
      vips_jpegload_buffer(data, jpeg.size(), &image, "shrink", 2, "access", VIPS_ACCESS_SEQUENTIAL, nullptr) == 0;
  size_t size = 0;
  void* bytes = nullptr;
  if (ok) {
    const int side = std::min(vips_image_get_width(image), vips_image_get_height(image));
    ok = vips_extract_area(image, &cut, (vips_image_get_width(image) - side) / 2,
                           (vips_image_get_height(image) - side) / 2, side, side, nullptr) == 0 &&
         vips_resize(cut, &sized, static_cast<double>(kSide) / side, "kernel", VIPS_KERNEL_CUBIC, nullptr) == 0 &&
         (bytes = vips_image_write_to_memory(sized, &size)) != nullptr && size == size_t{kSide} * kSide * 3;
  }
  if (ok) {
    const auto* rgb = static_cast<const uint8_t*>(bytes);
    for (size_t c = 0; c < 3; ++c) {
      for (size_t i = 0; i < size_t{kSide} * kSide; ++i) {
        tensor[c * kSide * kSide + i] = (static_cast<float>(rgb[i * 3 + c]) - kMean[c]) * kScale[c];
      }
    }
  }
  g_free(bytes);
  for (VipsImage* each : {sized, cut, image}) {
    if (each != nullptr) g_object_unref(each);
  }
  return ok;
}

int Run() {
  constexpr int kRounds = 9;
  BenchReport report("decode");
  const std::vector<std::string> jpegs = MakeBenchJpegs();
  const double count = static_cast<double>(jpegs.size());
  size_t bytes = 0;
  for (const std::string& jpeg : jpegs) bytes += jpeg.size();
  BenchReport::Say(std::to_string(jpegs.size()) + " files of " + std::to_string(bytes / jpegs.size() / 1024) + " KiB");

  std::vector<float> ours(size_t{3} * kSide * kSide), theirs(ours.size());
  double difference = 0;  // mean, in levels
  bool right = true;
  for (const std::string& jpeg : jpegs) {
    right = right && Ours(jpeg, ours) && ByVips(jpeg, theirs);
    for (size_t i = 0; i < ours.size(); ++i) {
      const double levels = std::abs(ours[i] - theirs[i]) / static_cast<double>(kScale[i / (kSide * kSide)]);
      difference += levels / (count * static_cast<double>(ours.size()));
    }
  }
  right = right && difference < 3;  // another cubic kernel, and its own rounding of the cut

  std::vector<double> fast, vips, pixels_alone, tensor_alone, plain_levels;
  for (int round = 0; round < kRounds; ++round) {
    double start = ProcessSeconds();
    for (const std::string& jpeg : jpegs) right = Ours(jpeg, ours) && right;
    fast.push_back(count / (ProcessSeconds() - start));
    start = ProcessSeconds();
    for (const std::string& jpeg : jpegs) right = ByVips(jpeg, theirs) && right;
    vips.push_back(count / (ProcessSeconds() - start));
    double resampling = 0;
    start = ProcessSeconds();
    for (const std::string& jpeg : jpegs) {
      const auto pixels = DecodeImage(AsBytes(jpeg), {}, kStandardSize);
      const double decoded = ProcessSeconds();
      right =
          right &&
          ResampleToTensor(*pixels, std::nullopt, {kSide, kSide, Fit::kCrop}, {true, false, kMean, kScale}, ours).ok();
      resampling += ProcessSeconds() - decoded;
    }
    pixels_alone.push_back(count / (ProcessSeconds() - start - resampling));
    tensor_alone.push_back(count / resampling);
    const ForceCpuLevelForTest force(CpuLevel::kScalar);
    start = ProcessSeconds();
    for (const std::string& jpeg : jpegs) right = Ours(jpeg, theirs) && right;
    plain_levels.push_back(count / (ProcessSeconds() - start));
    right = right && ours == theirs;  // the last file's tensor, to the bit
  }
  report.Add({.name = "jpeg_to_tensor", .value = Median(fast), .unit = "images/s", .bar = 400, .right = right});
  report.Add({.name = "jpeg_to_tensor_over_libvips",
              .value = Median(fast) / Median(vips),
              .unit = "times as fast",
              .right = right});
  report.Add({.name = "libvips", .value = Median(vips), .unit = "images/s"});
  report.Add({.name = "jpeg_to_pixels", .value = Median(pixels_alone), .unit = "images/s"});
  report.Add({.name = "pixels_to_tensor", .value = Median(tensor_alone), .unit = "images/s"});
  report.Add({.name = "jpeg_to_tensor_without_wide_registers", .value = Median(plain_levels), .unit = "images/s"});
  report.Add({.name = "difference_to_libvips", .value = difference, .unit = "levels of 256, mean"});
  return report.Finish();
}

}  // namespace
}  // namespace likeness

int main() { return likeness::Run(); }
