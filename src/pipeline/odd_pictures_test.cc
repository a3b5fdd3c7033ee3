// Odd pictures through every extractor that a home computes: a valid value or a recorded reason, never a NaN, never a
// crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/file.h"
#include "feature/color.h"
#include "feature/hash.h"
#include "feature/local.h"
#include "image/decode.h"
#include "kernel/half.h"
#include "pipeline/features.h"
#include "store/safetensors.h"
#include "support/odd_files.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"
#include "support/tiny_vocabulary.h"

namespace likeness {
namespace {

struct Odd {
  std::string name;
  Pixels pixels;
};

// `color` tells the color of a pixel.
template <typename Color>
Pixels Paint(uint32_t width, uint32_t height, Color color) {
  Pixels pixels{width, height, {}, width, height};
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      const std::array<uint8_t, 3> rgb = color(x, y);
      for (const uint8_t value : rgb) pixels.rgb.push_back(value);
    }
  }
  return pixels;
}

std::vector<Odd> OddPictures() {
  const auto flat = [](uint8_t r, uint8_t g, uint8_t b) {
    return [=](uint32_t, uint32_t) { return std::array<uint8_t, 3>{r, g, b}; };
  };
  const auto gray = [](uint32_t value) {
    const auto v = static_cast<uint8_t>(value);
    return std::array<uint8_t, 3>{v, v, v};
  };
  return {
      {"one flat color", Paint(300, 200, flat(200, 30, 40))},
      {"1 x 1", Paint(1, 1, flat(10, 200, 30))},
      {"20,000 x 10", Paint(20'000, 10, [&](uint32_t x, uint32_t y) { return gray((x * 7 + y * 31) % 256); })},
      {"10 x 20,000", Paint(10, 20'000, [&](uint32_t x, uint32_t y) { return gray((x * 29 + y / 3) % 256); })},
      {"without keypoints", Paint(400, 300, [&](uint32_t x, uint32_t) { return gray(x * 255 / 400); })},
      {"fully transparent, laid on white", Paint(120, 90, flat(255, 255, 255))},
      {"black", Paint(640, 480, flat(0, 0, 0))},
      {"1 x 500", Paint(1, 500, [&](uint32_t, uint32_t y) { return gray(y % 256); })},
      {"5 x 5 noise", Paint(5, 5, [&](uint32_t x, uint32_t y) { return gray((x * 97 + y * 57) % 256); })},
      {"a checkerboard of pixels", Paint(512, 512, [&](uint32_t x, uint32_t y) { return gray((x + y) % 2 * 255); })},
  };
}

void ExpectFinite(std::span<const std::byte> value, const std::string& what) {
  std::vector<uint16_t> halves(value.size() / 2);
  std::memcpy(halves.data(), value.data(), halves.size() * 2);
  std::vector<float> numbers(halves.size());
  HalfToFloat(halves, numbers);
  for (const float number : numbers) ASSERT_TRUE(std::isfinite(number)) << what;
}

// Holds a value against its layout, and against what its type promises.
void ExpectValid(const Extractor& extractor, std::span<const std::byte> value, const std::string& what) {
  const FeatureLayout layout = extractor.layout();
  const size_t row = layout.dimension * DtypeSize(layout.dtype);
  if (layout.ragged) {
    EXPECT_EQ(value.size() % row, 0u) << what;
  } else {
    EXPECT_EQ(value.size(), row) << what;
  }
  if (layout.dtype == Dtype::kF16) ExpectFinite(value, what);
  const std::string& type = extractor.key().type;
  if (type == "color") {
    const auto signature = ParseColorValue(value);
    ASSERT_TRUE(signature) << what;
    double sum = 0;
    for (const SalientColor& color : *signature) sum += static_cast<double>(color.weight);
    EXPECT_NEAR(sum, 1, 1e-3) << what;
  } else if (type == "pdq") {
    ASSERT_TRUE(ParsePdqValue(value)) << what;
    EXPECT_GT(ParsePdqValue(value)->quality, 0) << what;
  } else if (type == "local") {
    const auto features = UnpackLocals(value);
    ASSERT_TRUE(features.ok()) << what;
    for (const LocalFeature& feature : *features) {
      EXPECT_TRUE(std::isfinite(feature.x) && std::isfinite(feature.y) && feature.sigma > 0) << what;
    }
  }
}

class OddPicturesTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::filesystem::path path = scratch_.path() / "home";
    std::filesystem::create_directories(path / "vocabularies");
    ASSERT_TRUE(WriteVocabulary(path / "vocabularies" / "default.safetensors", TinyVocabularyParts()).ok());
    ASSERT_TRUE(InstallTinyModel(path / "models", "tiny").ok());
    const std::string toml =
        "threads = 1\n[deep]\nmodels = [\"tiny\"]\n[features]\ntypes = [\"deep\", \"color\", \"pdq\", \"local\"]\n";
    ASSERT_TRUE(WriteFileAtomic(path / "likeness.toml", AsBytes(toml)).ok());
    home_ = *Home::Open(path, true);
    const auto extractors = CurrentExtractors(*home_);
    ASSERT_TRUE(extractors.ok()) << extractors.status();
    extractors_ = *extractors;
    ASSERT_EQ(extractors_.size(), 4u);
  }

  // A value or a reason for each; alone and among others it is the same.
  void Check(std::span<const Odd> pictures) {
    for (const auto& extractor : extractors_) {
      std::vector<Pixels> all;
      for (const Odd& odd : pictures) all.push_back(odd.pixels);
      const auto values = extractor->Extract(all);
      ASSERT_TRUE(values.ok()) << extractor->key().type << ": " << values.status();
      ASSERT_EQ(values->size(), pictures.size());
      for (size_t i = 0; i < pictures.size(); ++i) {
        const std::string what = extractor->key().type + " of " + pictures[i].name;
        const FeatureValue& value = (*values)[i];
        if (value.ok()) {
          ExpectValid(*extractor, *value, what);
        } else {
          EXPECT_EQ(BlameOf(value.status()), Blame::kData) << what << ": " << value.status();
          EXPECT_FALSE(MessageOf(value.status()).empty()) << what;
        }
        const auto alone = extractor->Extract({&pictures[i].pixels, 1});
        ASSERT_TRUE(alone.ok()) << what;
        EXPECT_EQ(alone->front().ok(), value.ok()) << what;
        if (value.ok() && alone->front().ok() && !extractor->key().type.starts_with("deep")) {
          EXPECT_EQ(*alone->front(), *value) << what;
        }
      }
    }
  }

  const ScratchFolder scratch_;
  std::unique_ptr<Home> home_;
  Extractors extractors_;
};

TEST_F(OddPicturesTest, EachHasAValueOrAReasonForEveryFeature) { Check(OddPictures()); }

TEST_F(OddPicturesTest, FilesThatDecodeDoToo) {
  std::vector<Odd> pictures;
  for (const OddFile& file : MakeOddFiles(20261122, 120)) {
    auto pixels = DecodeImage(AsBytes(file.bytes), home_->config().image, kStandardSize);
    if (pixels.ok()) pictures.push_back({file.name, *std::move(pixels)});
  }
  ASSERT_GT(pictures.size(), 20u);
  Check(pictures);
}

TEST_F(OddPicturesTest, FlatPicturesHaveNoHashAndSayWhy) {
  const std::vector<Odd> pictures = OddPictures();
  for (const auto& extractor : extractors_) {
    if (extractor->key().type != "pdq") continue;
    const auto value = extractor->Extract({&pictures.front().pixels, 1});
    ASSERT_TRUE(value.ok());
    EXPECT_FALSE(value->front().ok());
    EXPECT_FALSE(MessageOf(value->front().status()).empty());
  }
}

}  // namespace
}  // namespace likeness
