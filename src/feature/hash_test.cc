// Hashes are those of the publication: as its authors' program computes them, as its text defines them, in all eight
// positions; what cannot be hashed says why.
#include "feature/hash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/bytes.h"
#include "base/file.h"
#include "image/decode.h"
#include "image/resample.h"
#include "kernel/cpu.h"
#include "support/odd_files.h"
#include "support/pdq_definition.h"

namespace likeness {
namespace {

int Wave(int64_t t) { return static_cast<int>(std::abs(t % 510 - 255)); }

// A picture that whoever wants to check a hash elsewhere can compute.
Pixels Waves(uint32_t width, uint32_t height, int64_t k) {
  Pixels pixels{width, height, {}, width, height};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      pixels.rgb.push_back(static_cast<uint8_t>((Wave(x * 3 + y * 5 + k * 40) + Wave(x * y / 7 + k * 11)) / 2));
      pixels.rgb.push_back(static_cast<uint8_t>((Wave(x * 4 - y * 2 + k * 90 + 5100) + Wave(x * x / 9 + y * 3)) / 2));
      pixels.rgb.push_back(static_cast<uint8_t>((Wave(x + y * 7 + k * 17) + Wave(y * y / 5 + 2 * x)) / 2));
    }
  }
  return pixels;
}

PdqHash Hex(std::string_view digits) { return PdqFromHex(digits).value_or(PdqHash()); }

// Computed with the package `pdqhash` 0.2.8 of PyPI, which is the authors' C++ code.
TEST(Pdq, EqualsTheAuthorsProgram) {
  struct Case {
    uint32_t width, height;
    int64_t k;
    std::string_view hash;
    int quality;
  };
  const Case cases[] = {
      {64, 64, 0, "aa5496ab25d449abb23624ead944b21be5b4fb2b3ccc27b349e4513aab4caaa9", 38},
      {100, 80, 1, "bdb6d92dbbb072abf5529a5f36b4e92d12c4ec8993970a2a31926604cab155a6", 100},
      {320, 240, 2, "ce39987110e130e3f1e3c3cb83870fcfde079e0fd00f6048c07203cf3fe0ffb4", 100},
      {512, 384, 3, "f86ff82fe06fd83f006b003f00fe00bd01ea5fc800d79ffffadd2244ff086440", 100},
      {200, 300, 4, "199973196639c6331c7118f778e1e3c78e8f0f061d1cce019c1f30f761d239f9", 100},
      {640, 480, 5, "059600db279606dc0fb93ed5ff80552a8a7d162aff7ffe22037d895554408975", 100},
      {1000, 700, 6, "92807800d2a207ff8dd427ff8d9027ffbe0722008000d5557ff7d5557ff7d510", 100},
  };
  for (const Case& wanted : cases) {
    const auto transform = PdqTransform::Of(Waves(wanted.width, wanted.height, wanted.k));
    ASSERT_TRUE(transform.ok());
    EXPECT_EQ(PdqToHex(transform->Hash()), wanted.hash) << wanted.width;
    EXPECT_EQ(transform->quality(), wanted.quality);
  }
}

TEST(Pdq, AllFormsEqualTheAuthorsProgram) {
  const auto forms = PdqTransform::Of(Waves(512, 384, 3))->AllForms();
  // In the order of their program: as is, turned by 90, 180 and 270 degrees, upside down, mirrored, both diagonals.
  const std::string_view wanted[] = {
      "f86ff82fe06fd83f006b003f00fe00bd01ea5fc800d79ffffadd2244ff086440",
      "f45a0fb0e00f0ea5d05aff2c005eff2d03f85502ff90a8c3ffda08c3feb002c7",
      "ad3a5295a53a5295553e2a9555aba21750bf756255823555af8888eeaa5dcee2",
      "a10fa51eb55aa50f850f5586550b558776adffa8aac50269aa8ea269abe5a86d",
      "f86f07c0f0ef27c0006b7fc000feff4205ea203700d76000faddddabff089bb7",
      "ad3aad6aa53a8d6a553ed56a55ab45e850bf8a9d5582caaaaf883701aa5d3115",
      "f01af04be00fd05ad05a0053005e00d203f8aafdff901738ffdaf73cfeb0fd38",
      "a10f5ae1a55a5af0840faa79550baa7856ad0057aac5fd92aa8e5d96abe55792",
  };
  for (size_t i = 0; i < kDihedralForms; ++i) EXPECT_EQ(PdqToHex(forms[i]), wanted[i]) << i;
}

TEST(Pdq, EqualsItsDefinition) {
  for (const auto& [width, height] : {std::pair(64u, 64u), {40u, 9u}, {63u, 200u}, {129u, 128u}, {1027u, 31u}}) {
    const Pixels pixels = Waves(width, height, 7);
    const auto transform = PdqTransform::Of(pixels);
    const PdqTwin twin = PdqByDefinition(pixels);
    ASSERT_TRUE(transform.ok()) << width << " " << height;
    EXPECT_LE(BitsApart(transform->Hash(), twin), 2) << width << " " << height;
    EXPECT_EQ(transform->quality(), twin.quality);
  }
}

std::vector<std::string> Photographs(size_t count) {
  const char* chosen = std::getenv("LIKENESS_DATA");
  const std::filesystem::path data =
      chosen != nullptr ? chosen : std::filesystem::path(LIKENESS_SOURCE_DIR) / "../shared/data";
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(data / "ccp" / "photos", error)) paths.push_back(entry);
  std::ranges::sort(paths);
  std::vector<std::string> files;
  for (size_t i = 0; i < paths.size() && files.size() < count; i += std::max<size_t>(1, paths.size() / count)) {
    auto file = ReadFile(paths[i]);
    if (file.ok()) files.push_back(*std::move(file));
  }
  return files;
}

TEST(Pdq, PhotographsAreWithinFourBitsOfTheDefinition) {
  const std::vector<std::string> files = Photographs(24);
  if (files.empty()) GTEST_SKIP() << "the evaluation data are absent";
  double sum = 0;
  size_t pictures = 0;
  for (const std::string& file : files) {
    const Pixels full = *DecodeImage(AsBytes(file));
    const PdqTwin twin = PdqByDefinition(full);
    const Pixels standard = *DecodeImage(AsBytes(file), {}, kStandardSize);
    sum += BitsApart(PdqTransform::Of(standard)->Hash(), twin);
    ++pictures;
  }
  EXPECT_LE(sum / static_cast<double>(pictures), 4) << pictures << " pictures";
}

TEST(Pdq, AReducedPictureHasNearlyTheHashOfTheFullOne) {
  const std::string jpeg = MakeJpeg(11, 1300, 900);
  const auto full = PdqTransform::Of(*DecodeImage(AsBytes(jpeg)));
  const auto standard = PdqTransform::Of(*DecodeImage(AsBytes(jpeg), {}, kStandardSize));
  ASSERT_TRUE(full.ok() && standard.ok());
  EXPECT_LE(PdqDistance(full->Hash(), standard->Hash()), 8u);
  EXPECT_NEAR(full->quality(), standard->quality(), 3);
}

TEST(Pdq, EveryLevelOfTheProcessorGivesTheSameHash) {
  const Pixels pixels = Waves(333, 217, 9);
  const PdqHash hash = PdqTransform::Of(pixels)->Hash();
  for (const CpuLevel level : AvailableCpuLevels()) {
    const ForceCpuLevelForTest force(level);
    EXPECT_EQ(PdqTransform::Of(pixels)->Hash(), hash);
  }
}

// `turned(x, y)` of the result is at the place that `from` gives in the picture.
Pixels Turned(const Pixels& pixels, Dihedral form) {
  const bool swap = form == Dihedral::kRotate90 || form == Dihedral::kRotate270 || form == Dihedral::kTranspose ||
                    form == Dihedral::kAntiTranspose;
  Pixels out = pixels;
  if (swap) std::swap(out.width, out.height);
  out.full_width = out.width, out.full_height = out.height;
  const uint32_t last_x = pixels.width - 1, last_y = pixels.height - 1;
  for (uint32_t y = 0; y < out.height; ++y) {
    for (uint32_t x = 0; x < out.width; ++x) {
      uint32_t from_x = swap ? y : x, from_y = swap ? x : y;
      if (form == Dihedral::kRotate90 || form == Dihedral::kRotate180 || form == Dihedral::kFlipColumns ||
          form == Dihedral::kAntiTranspose) {
        from_x = last_x - from_x;
      }
      if (form == Dihedral::kRotate270 || form == Dihedral::kRotate180 || form == Dihedral::kFlipRows ||
          form == Dihedral::kAntiTranspose) {
        from_y = last_y - from_y;
      }
      for (size_t c = 0; c < 3; ++c) {
        out.rgb[(size_t{y} * out.width + x) * 3 + c] = pixels.rgb[(size_t{from_y} * pixels.width + from_x) * 3 + c];
      }
    }
  }
  return out;
}

TEST(Pdq, FormsAreTheHashesOfTurnedPictures) {
  // Windows of an odd number of pixels look equally far to both sides, so that turning them changes nothing but what a
  // window at the very end holds.
  const Pixels pixels = Waves(320, 320, 12);
  const auto forms = PdqTransform::Of(pixels)->AllForms();
  for (size_t i = 0; i < kDihedralForms; ++i) {
    const PdqHash turned = PdqTransform::Of(Turned(pixels, static_cast<Dihedral>(i)))->Hash();
    EXPECT_LE(PdqDistance(forms[i], turned), 8u) << i;
    for (size_t j = 0; j < i; ++j) EXPECT_GT(PdqDistance(forms[j], turned), 60u) << i << " " << j;
  }
}

TEST(Pdq, WhatIsFlatOrTinySaysSo) {
  const auto flat = [](uint32_t width, uint32_t height, uint8_t value) {
    return Pixels{width, height, std::vector<uint8_t>(size_t{width} * height * 3, value), width, height};
  };
  for (const Pixels& pixels : {flat(100, 100, 0), flat(100, 100, 255), flat(300, 20, 77)}) {
    const auto status = PdqTransform::Of(pixels).status();
    EXPECT_EQ(BlameOf(status), Blame::kData);
    EXPECT_THAT(MessageOf(status), testing::HasSubstr("too flat"));
  }
  EXPECT_EQ(MessageOf(PdqTransform::Of(flat(1, 1, 3)).status()),
            "it is 1 x 1 pixels, and each side must have 5 at least");
  EXPECT_TRUE(PdqTransform::Of(Waves(20000, 10, 1)).ok());
}

TEST(Pdq, HexIsReadAsItIsWritten) {
  PdqHash hash;
  hash.words = {1, 0, 0, uint64_t{1} << 63};
  EXPECT_EQ(PdqToHex(hash), "8000000000000000" + std::string(47, '0') + "1");
  EXPECT_EQ(Hex(PdqToHex(hash)), hash);
  EXPECT_EQ(PdqDistance(hash, PdqHash()), 2u);
  for (const std::string_view bad : {"", "12", "zz"}) EXPECT_FALSE(PdqFromHex(bad));
  EXPECT_FALSE(PdqFromHex(std::string(65, '0')));
}

TEST(HashExtractor, EveryOddPictureHasAValueOrAReason) {
  const auto extractor = MakeHashExtractor();
  EXPECT_EQ(extractor->key(), HashFeatureKey());
  EXPECT_EQ(extractor->key().type, "pdq");
  std::vector<Pixels> pictures;
  for (const OddFile& file : MakeOddFiles(20261122, 120)) {
    auto pixels = DecodeImage(AsBytes(file.bytes), {}, extractor->decode_size());
    if (pixels.ok()) pictures.push_back(*std::move(pixels));
  }
  pictures.push_back(Waves(400, 300, 3));
  const auto values = extractor->Extract(pictures);
  ASSERT_TRUE(values.ok());
  ASSERT_EQ(values->size(), pictures.size());
  for (const FeatureValue& value : *values) {
    if (value.ok()) {
      ASSERT_TRUE(ParsePdqValue(*value));
      EXPECT_GE(ParsePdqValue(*value)->quality, 1);
    } else {
      EXPECT_EQ(BlameOf(value.status()), Blame::kData);
    }
  }
  EXPECT_EQ(ParsePdqValue(*values->back())->hash, PdqTransform::Of(pictures.back())->Hash());
  std::vector<std::byte> bad(kPdqValueBytes, std::byte{101});
  EXPECT_FALSE(ParsePdqValue(bad));
  EXPECT_FALSE(ParsePdqValue(std::span(bad).first(32)));
}

}  // namespace
}  // namespace likeness
