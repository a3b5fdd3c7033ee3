#include "support/odd_files.h"

#include <vips/vips.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <set>

#include "base/random.h"
#include "base/status.h"

namespace likeness {
namespace {

using namespace std::string_literals;

struct Unref {
  void operator()(void* object) const { g_object_unref(object); }
};
using Image = std::unique_ptr<VipsImage, Unref>;

void StartVipsForTests() {
  static const bool started = VIPS_INIT("likeness") == 0;
  LIKENESS_CHECK(started);
}

// Smooth blobs of color: a random grid of 5 x 5 values a band, interpolated.
Image MakePicture(Random& random, int width, int height, int bands, VipsInterpretation meaning) {
  StartVipsForTests();
  std::vector<double> grid(static_cast<size_t>(25 * bands));
  for (double& value : grid) value = random.Unit() * 255;
  std::vector<uint8_t> samples(static_cast<size_t>(width) * static_cast<size_t>(height) * static_cast<size_t>(bands));
  size_t at = 0;
  for (int y = 0; y < height; ++y) {
    const double v = 3.999 * y / height;
    for (int x = 0; x < width; ++x) {
      const double u = 3.999 * x / width;
      const int i = static_cast<int>(u), j = static_cast<int>(v);
      for (int b = 0; b < bands; ++b) {
        const auto value = [&](int row, int column) {
          return grid[static_cast<size_t>((row * 5 + column) * bands + b)];
        };
        const double top = std::lerp(value(j, i), value(j, i + 1), u - i);
        const double bottom = std::lerp(value(j + 1, i), value(j + 1, i + 1), u - i);
        samples[at++] = static_cast<uint8_t>(std::lerp(top, bottom, v - j));
      }
    }
  }
  VipsImage* image =
      vips_image_new_from_memory_copy(samples.data(), samples.size(), width, height, bands, VIPS_FORMAT_UCHAR);
  LIKENESS_CHECK(image != nullptr);
  image->Type = meaning;
  return Image(image);
}

Image MakeRgb(Random& random, int width, int height) {
  return MakePicture(random, width, height, 3, VIPS_INTERPRETATION_sRGB);
}

// 16 bits a sample, using all of them.
Image To16(const Image& image, VipsInterpretation meaning) {
  VipsImage *scaled = nullptr, *cast = nullptr;
  LIKENESS_CHECK(vips_linear1(image.get(), &scaled, 257, 0, nullptr) == 0);
  const Image hold(scaled);
  LIKENESS_CHECK(vips_cast_ushort(scaled, &cast, nullptr) == 0);
  cast->Type = meaning;
  return Image(cast);
}

// `suffix` is a suffix with options, as libvips takes it: ".png[interlace]".
std::string Encode(const Image& image, const std::string& suffix) {
  void* data = nullptr;
  size_t size = 0;
  LIKENESS_CHECK(vips_image_write_to_buffer(image.get(), suffix.c_str(), &data, &size, nullptr) == 0);
  std::string bytes(static_cast<const char*>(data), size);
  g_free(data);
  return bytes;
}

std::string Animation(Random& random, const std::string& suffix) {
  Image image = MakeRgb(random, 40, 90);
  vips_image_set_int(image.get(), VIPS_META_PAGE_HEIGHT, 30);
  return Encode(image, suffix);
}

std::string Oriented(Random& random, int orientation) {
  Image image = MakeRgb(random, 60, 40);
  vips_image_set_int(image.get(), VIPS_META_ORIENTATION, orientation);
  return Encode(image, ".jpg");
}

std::string BigEndian(uint64_t value, int bytes) {
  std::string text;
  while (bytes-- > 0) text.push_back(static_cast<char>(value >> (8 * bytes)));
  return text;
}

std::string LittleEndian(uint64_t value, int bytes) {
  std::string text = BigEndian(value, bytes);
  std::ranges::reverse(text);
  return text;
}

// HEIC and AVIF take long to encode: one of each, made different by a `free` box at the end.
std::string HighEfficiency(Random& random, bool avif) {
  static const auto make = [](const char* suffix) {
    Random fixed(5);
    return Encode(MakeRgb(fixed, 64, 64), suffix);
  };
  static const std::string heic = make(".heic[compression=hevc]"), av1 = make(".avif[compression=av1]");
  return (avif ? av1 : heic) + BigEndian(16, 4) + "free" + BigEndian(random(), 8);
}

uint32_t Crc32(std::string_view text) {
  uint32_t crc = 0xffffffff;
  for (const char c : text) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

std::string PngChunk(const std::string& type, const std::string& body) {
  return BigEndian(body.size(), 4) + type + body + BigEndian(Crc32(type + body), 4);
}

// A correct header for a picture of that size, and hardly any data behind it.
std::string PngBomb(Random& random, uint32_t width, uint32_t height) {
  return "\x89PNG\r\n\x1a\n" + PngChunk("IHDR", BigEndian(width, 4) + BigEndian(height, 4) + "\x08\x02\0\0\0"s) +
         PngChunk("tEXt", "n\0"s + std::to_string(random())) +
         PngChunk("IDAT", "\x78\x9c\x63\x60\x60\x60\x00\x00\x00\x04\x00\x01"s) + PngChunk("IEND", "");
}

std::string JpegBomb(Random& random, uint32_t side) {
  std::string bytes = Encode(MakeRgb(random, 16, 16), ".jpg");
  const size_t frame = bytes.find("\xff\xc0");
  LIKENESS_CHECK(frame != std::string::npos);
  return bytes.replace(frame + 5, 4, BigEndian(side, 2) + BigEndian(side, 2));
}

std::string GifBomb(Random& random) {
  std::string bytes = Encode(MakeRgb(random, 8, 8), ".gif");
  const size_t frame = bytes.find(",\0\0\0\0\x08\0\x08\0"s);  // the screen alone is not believed by readers
  LIKENESS_CHECK(frame != std::string::npos);
  return bytes.replace(6, 4, "\xff\xff\xff\xff").replace(frame + 5, 4, "\xff\xff\xff\xff");
}

std::string WebpBomb(Random& random) {
  std::string bytes = Encode(MakePicture(random, 8, 8, 4, VIPS_INTERPRETATION_sRGB), ".webp");
  const size_t header = bytes.find("VP8X");
  if (header != std::string::npos) bytes.replace(header + 12, 6, LittleEndian(16383, 3) + LittleEndian(16383, 3));
  return bytes;
}

// Little endian, one strip, 8-bit grey, with the size of the picture in two entries of its directory.
std::string TiffBomb(Random& random) {
  const auto entry = [](int tag, uint32_t value) {
    return LittleEndian(static_cast<uint64_t>(tag), 2) + LittleEndian(4, 2) + LittleEndian(1, 4) +
           LittleEndian(value, 4);
  };
  return "II*\0"s + LittleEndian(8, 4) + LittleEndian(9, 2) + entry(256, 200000) + entry(257, 200000) + entry(258, 8) +
         entry(259, 1) + entry(262, 1) + entry(273, 200) + entry(277, 1) + entry(278, 200000) + entry(279, 64) +
         LittleEndian(0, 4) + LittleEndian(random(), 8) + std::string(200, '\x7f');
}

std::string RandomBytes(Random& random, size_t size) {
  std::string bytes;
  while (bytes.size() < size) bytes += LittleEndian(random(), 8);
  bytes.resize(size);
  return bytes;
}

std::string Cut(std::string bytes, double share) {
  bytes.resize(static_cast<size_t>(static_cast<double>(bytes.size()) * share));
  return bytes;
}

// Cuts the file where `mark` begins, and keeps `keep` bytes of it.
std::string CutAt(std::string bytes, std::string_view mark, size_t keep) {
  const size_t at = bytes.find(mark);
  LIKENESS_CHECK(at != std::string::npos);
  bytes.resize(std::min(bytes.size(), at + keep));
  return bytes;
}

std::string Damaged(Random& random, std::string bytes, std::string_view mark, size_t offset, size_t size) {
  const size_t at = bytes.find(mark);
  LIKENESS_CHECK(at != std::string::npos && at + offset + size < bytes.size());
  return bytes.replace(at + offset, size, RandomBytes(random, size));
}

struct Kind {
  std::string name;  // with the extension that the file gets, which may lie
  bool expect_ok;
  std::function<std::string(Random&)> make;
};

std::vector<Kind> MakeKinds() {
  std::vector<Kind> kinds;
  const auto good = [&](std::string name, std::function<std::string(Random&)> make) {
    kinds.push_back({std::move(name), true, std::move(make)});
  };
  const auto bad = [&](std::string name, std::function<std::string(Random&)> make) {
    kinds.push_back({std::move(name), false, std::move(make)});
  };
  const auto rgb = [](Random& random, const std::string& suffix) { return Encode(MakeRgb(random, 48, 32), suffix); };
  const auto bands = [](Random& random, int count, VipsInterpretation meaning, const std::string& suffix) {
    return Encode(MakePicture(random, 48, 32, count, meaning), suffix);
  };
  constexpr auto kGrey = VIPS_INTERPRETATION_B_W;
  constexpr auto kColor = VIPS_INTERPRETATION_sRGB;
  constexpr auto kCmyk = VIPS_INTERPRETATION_CMYK;

  // Truncated.
  const std::string jpeg_frame = "\xff\xc0", jpeg_scan = "\xff\xda";
  bad("cut_in_magic.jpg", [=](Random& r) { return rgb(r, ".jpg").substr(0, 3) + std::string(r.Below(3), '\xff'); });
  bad("cut_in_tables.jpg", [=](Random& r) { return CutAt(rgb(r, ".jpg"), "\xff\xdb", 20 + r.Below(40)); });
  bad("cut_in_frame.jpg", [=](Random& r) { return CutAt(rgb(r, ".jpg"), jpeg_frame, 2 + r.Below(8)); });
  bad("cut_at_scan.jpg", [=](Random& r) { return CutAt(rgb(r, ".jpg"), jpeg_scan, 12); });
  bad("cut_in_data.jpg", [=](Random& r) { return Cut(MakeJpeg(r(), 200, 150), 0.5 + r.Unit() / 4); });
  bad("cut_progressive.jpg", [=](Random& r) { return Cut(rgb(r, ".jpg[interlace]"), 0.6); });
  bad("cut_in_header.png", [=](Random& r) { return rgb(r, ".png").substr(0, 9 + r.Below(16)); });
  bad("cut_before_data.png", [=](Random& r) { return CutAt(rgb(r, ".png"), "IDAT", 4); });
  bad("cut_in_data.png", [=](Random& r) { return Cut(rgb(r, ".png"), 0.4 + r.Unit() / 4); });
  bad("cut_interlaced.png", [=](Random& r) { return Cut(rgb(r, ".png[interlace]"), 0.5); });
  bad("cut_in_header.webp", [=](Random& r) { return rgb(r, ".webp").substr(0, 13 + r.Below(8)); });
  bad("cut_in_data.webp", [=](Random& r) { return Cut(rgb(r, ".webp"), 0.5); });
  bad("cut_in_header.gif", [=](Random& r) { return rgb(r, ".gif").substr(0, 6 + r.Below(6)); });
  bad("cut_in_data.gif", [=](Random& r) { return Cut(rgb(r, ".gif"), 0.9); });
  bad("cut_in_header.tif", [=](Random& r) { return rgb(r, ".tif").substr(0, 4 + r.Below(4)); });
  bad("cut_in_data.tif", [=](Random& r) { return Cut(rgb(r, ".tif"), 0.5); });
  bad("cut_in_boxes.heic", [=](Random& r) { return HighEfficiency(r, false).substr(0, 40 + r.Below(100)); });
  bad("cut_in_boxes.avif", [=](Random& r) { return HighEfficiency(r, true).substr(0, 40 + r.Below(100)); });

  // No pictures, whatever they are called.
  bad("empty.jpg", [](Random&) { return ""s; });
  bad("zeros.jpg", [](Random& r) { return std::string(1 + r.Below(5000), '\0'); });
  bad("noise.png", [](Random& r) { return RandomBytes(r, 1 + r.Below(5000)); });
  bad("page.jpg", [](Random& r) { return "<!doctype html><title>404</title>" + std::to_string(r()); });
  bad("text.webp", [](Random& r) { return "not a picture " + std::to_string(r()); });
  bad("drawing.jpg", [](Random& r) {
    return "<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"><!-- " +
           std::to_string(r()) + " --><image href=\"file:///etc/passwd\"/></svg>";
  });
  bad("document.png", [](Random& r) { return "%PDF-1.4\n% " + std::to_string(r()) + "\n%%EOF"; });
  bad("archive.jpg", [](Random& r) { return "PK\x03\x04" + RandomBytes(r, 300); });
  bad("script.jpg",
      [](Random& r) { return "push graphic-context\nfill 'url(https://x/" + std::to_string(r()) + ")'"; });
  bad("bitmap.bmp", [](Random& r) { return "BM" + RandomBytes(r, 100); });
  bad("film.heic", [](Random& r) { return BigEndian(24, 4) + "ftypisom\0\0\2\0isommp41"s + RandomBytes(r, 200); });
  bad("only_magic.png", [](Random& r) { return "\x89PNG\r\n\x1a\n" + RandomBytes(r, 40); });
  bad("only_magic.tif", [](Random& r) { return "II*\0"s + LittleEndian(8, 4) + RandomBytes(r, 2) + "\0\0"s; });
  bad("only_magic.webp", [](Random& r) { return "RIFF" + LittleEndian(100, 4) + "WEBPVP8 " + RandomBytes(r, 90); });

  // Hostile: huge by the header, far beyond the proportions, damaged inside.
  bad("bomb.png", [](Random& r) { return PngBomb(r, 60000, 60000); });
  bad("bomb_huge.png", [](Random& r) { return PngBomb(r, 0x7fffffff, 0x7fffffff); });
  bad("bomb_no_width.png", [](Random& r) { return PngBomb(r, 0, 10); });
  bad("bomb.jpg", [](Random& r) { return JpegBomb(r, 65000); });
  bad("bomb.gif", [](Random& r) { return GifBomb(r); });
  bad("bomb.webp", [](Random& r) { return WebpBomb(r); });
  bad("bomb.tif", [](Random& r) { return TiffBomb(r); });
  bad("too_long.png", [](Random& r) { return Encode(MakeRgb(r, 310, 10), ".png"); });
  bad("too_tall.jpg", [](Random& r) { return Encode(MakeRgb(r, 10, 400), ".jpg"); });
  bad("wrong_checksum.png", [=](Random& r) { return Damaged(r, rgb(r, ".png"), "IDAT", 30, 8); });
  bad("no_quantization_table.jpg", [=](Random& r) {
    std::string bytes = rgb(r, ".jpg");
    for (size_t at; (at = bytes.find("\xff\xdb")) != std::string::npos;) bytes[at + 1] = '\xfe';
    return bytes;
  });

  // Odd and good.
  for (int orientation = 1; orientation <= 8; ++orientation) {
    good("oriented_" + std::to_string(orientation) + ".jpg", [=](Random& r) { return Oriented(r, orientation); });
  }
  good("cmyk.jpg", [=](Random& r) { return bands(r, 4, kCmyk, ".jpg"); });
  good("grey.jpg", [=](Random& r) { return bands(r, 1, kGrey, ".jpg"); });
  good("progressive.jpg", [=](Random& r) { return rgb(r, ".jpg[interlace]"); });
  good("trailing_rubbish.jpg", [=](Random& r) { return rgb(r, ".jpg") + RandomBytes(r, 500); });
  good("alpha.png", [=](Random& r) { return bands(r, 4, kColor, ".png"); });
  good("grey_alpha.png", [=](Random& r) { return bands(r, 2, kGrey, ".png"); });
  good("sixteen_bits.png",
       [](Random& r) { return Encode(To16(MakeRgb(r, 48, 32), VIPS_INTERPRETATION_RGB16), ".png"); });
  good("palette.png", [=](Random& r) { return rgb(r, ".png[palette]"); });
  good("interlaced.png", [=](Random& r) { return rgb(r, ".png[interlace]"); });
  good("one_pixel.png", [](Random& r) { return Encode(MakeRgb(r, 1, 1), ".png"); });
  good("as_long_as_allowed.png", [](Random& r) { return Encode(MakeRgb(r, 300, 10), ".png"); });
  good("lossy.webp", [=](Random& r) { return rgb(r, ".webp"); });
  good("lossless_alpha.webp", [=](Random& r) { return bands(r, 4, kColor, ".webp[lossless]"); });
  good("animated.webp", [](Random& r) { return Animation(r, ".webp"); });
  good("still.gif", [=](Random& r) { return rgb(r, ".gif"); });
  good("animated.gif", [](Random& r) { return Animation(r, ".gif"); });
  good("deflate.tif", [=](Random& r) { return rgb(r, ".tif[compression=deflate]"); });
  good("cmyk.tif", [=](Random& r) { return bands(r, 4, kCmyk, ".tif[compression=lzw]"); });
  good("sixteen_bits_grey.tif",
       [](Random& r) { return Encode(To16(MakePicture(r, 48, 32, 1, kGrey), VIPS_INTERPRETATION_GREY16), ".tif"); });
  good("tiled.tif", [=](Random& r) { return rgb(r, ".tif[tile,tile-width=16,tile-height=16,compression=jpeg]"); });
  good("photo.heic", [](Random& r) { return HighEfficiency(r, false); });
  good("photo.avif", [](Random& r) { return HighEfficiency(r, true); });
  good("really_a_jpeg.png", [=](Random& r) { return rgb(r, ".jpg"); });
  good("really_a_png.jpg", [=](Random& r) { return rgb(r, ".png"); });
  good("no_extension", [=](Random& r) { return rgb(r, ".webp"); });
  return kinds;
}

}  // namespace

std::vector<OddFile> MakeOddFiles(uint64_t seed, size_t count) {
  StartVipsForTests();
  Random random(seed);
  const std::vector<Kind> kinds = MakeKinds();
  std::vector<OddFile> files;
  std::set<std::string> seen;
  for (size_t i = 0; files.size() < count; ++i) {
    const Kind& kind = kinds[i % kinds.size()];
    OddFile file{std::to_string(i) + "_" + kind.name, kind.make(random), kind.expect_ok};
    if (seen.insert(file.bytes).second) files.push_back(std::move(file));
  }
  return files;
}

std::string MakeJpeg(uint64_t seed, uint32_t width, uint32_t height) {
  Random random(seed);
  return Encode(MakeRgb(random, static_cast<int>(width), static_cast<int>(height)), ".jpg[Q=90]");
}

}  // namespace likeness
