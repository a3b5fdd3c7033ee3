// Keypoints stand where blobs are, are found again in another view of the picture, are the same at every CpuLevel, and
// are as good as OpenCV's, which is the slow twin where it is installed.
#include "feature/sift.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <numbers>
#include <tuple>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "image/decode.h"
#include "kernel/cpu.h"

#if LIKENESS_OPENCV
#include <opencv2/features2d.hpp>
#include <opencv2/imgproc.hpp>
#endif

namespace likeness {
namespace {

// A gray picture of `at(x, y)`, whose arguments are pixels from its left and upper edges.
Pixels Paint(uint32_t width, uint32_t height, const std::function<double(double, double)>& at) {
  Pixels pixels{width, height, {}, width, height};
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      const auto value = static_cast<uint8_t>(std::clamp(std::lround(at(x + 0.5, y + 0.5)), 0L, 255L));
      pixels.rgb.insert(pixels.rgb.end(), 3, value);
    }
  }
  return pixels;
}

struct Spot {
  double x, y, sigma, height;
};

// Smooth spots of many sizes on gray: structure at all scales.
std::vector<Spot> Spots(uint64_t seed, double width, double height, size_t count) {
  Random random(seed);
  std::vector<Spot> spots(count);
  for (Spot& spot : spots) {
    spot = {random.Unit() * width, random.Unit() * height, 2 * std::exp2(3 * random.Unit()), random.Normal() * 60};
  }
  return spots;
}

double SumAt(const std::vector<Spot>& spots, double x, double y) {
  double value = 128;
  for (const Spot& spot : spots) {
    const double reach = 5 * spot.sigma;
    if (std::abs(x - spot.x) > reach || std::abs(y - spot.y) > reach) continue;
    const double square = ((x - spot.x) * (x - spot.x) + (y - spot.y) * (y - spot.y)) / (2 * spot.sigma * spot.sigma);
    if (square < 12) value += spot.height * std::exp(-square);
  }
  return value;
}

Pixels PaintSpots(uint64_t seed, uint32_t width, uint32_t height, size_t count) {
  const std::vector<Spot> spots = Spots(seed, width, height, count);
  return Paint(width, height, [&](double x, double y) { return SumAt(spots, x, y); });
}

int32_t Distance(const LocalFeatures& a, size_t i, const LocalFeatures& b, size_t j) {
  int32_t sum = 0;
  for (size_t k = 0; k < kLocalDescriptorSize; ++k) {
    const int32_t difference = int32_t{a.descriptor(i)[k]} - b.descriptor(j)[k];
    sum += difference * difference;
  }
  return sum;
}

// How many keypoints of `a` have their nearest, by descriptor, in `b` within 2 pixels of where `map` puts them.
size_t FoundAgain(const LocalFeatures& a, const LocalFeatures& b,
                  const std::function<std::pair<double, double>(double, double)>& map) {
  size_t found = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t nearest = 0;
    for (size_t j = 1; j < b.size(); ++j) {
      if (Distance(a, i, b, j) < Distance(a, i, b, nearest)) nearest = j;
    }
    const auto [x, y] = map(a.keypoints[i].x, a.keypoints[i].y);
    if (b.size() > 0 && std::hypot(b.keypoints[nearest].x - x, b.keypoints[nearest].y - y) < 2) ++found;
  }
  return found;
}

TEST(ExtractLocal, FindsASpotWhereItIs) {
  for (const double sigma : {3.0, 5.0, 9.0}) {
    for (const double height : {100.0, -100.0}) {
      const Pixels pixels = Paint(512, 300, [&](double x, double y) {
        return 128 + height * std::exp(-(std::pow(x - 200.3, 2) + std::pow(y - 140.8, 2)) / (2 * sigma * sigma));
      });
      const LocalFeatures features = *ExtractLocal(pixels);
      ASSERT_GE(features.size(), 1u);
      EXPECT_NEAR(features.keypoints[0].x, 200.3, 0.2);
      EXPECT_NEAR(features.keypoints[0].y, 140.8, 0.2);
      // Differences of blurs stand out most at a scale a little below that of the spot.
      EXPECT_NEAR(features.keypoints[0].sigma / sigma, 0.9, 0.12) << sigma;
    }
  }
}

TEST(ExtractLocal, IsTheSameAtEveryLevel) {
  for (const auto& [width, height] : {std::pair(512u, 384u), {224u, 224u}, {101u, 67u}, {512u, 13u}, {640u, 480u}}) {
    const Pixels pixels = PaintSpots(width, width, height, width * height / 300 + 5);
    LocalFeatures first;
    for (const CpuLevel level : AvailableCpuLevels()) {
      const ForceCpuLevelForTest force(level);
      const LocalFeatures features = *ExtractLocal(pixels);
      if (level == CpuLevel::kScalar) first = features;
      ASSERT_EQ(features.descriptors, first.descriptors) << CpuLevelName(level) << " " << width << " x " << height;
      for (size_t i = 0; i < features.size(); ++i) {
        ASSERT_EQ(features.keypoints[i].x, first.keypoints[i].x);
        ASSERT_EQ(features.keypoints[i].angle, first.keypoints[i].angle);
      }
    }
    if (height > 100) {
      EXPECT_GT(first.size(), 50u);
    }
  }
}

TEST(ExtractLocal, IsTheSameForAnyNumberOfThreads) {
  for (const size_t most : {40, 300, 5000}) {  // fewer than there are, and more
    SiftOptions options;
    options.most = most;
    const Pixels pixels = PaintSpots(3, 512, 400, 400);
    const LocalFeatures alone = *ExtractLocal(pixels, options);
    for (const size_t threads : {2, 3}) {
      options.threads = threads;
      const LocalFeatures shared = *ExtractLocal(pixels, options);
      EXPECT_EQ(shared.descriptors, alone.descriptors) << most << " at most, " << threads << " threads";
      ASSERT_EQ(shared.size(), alone.size());
      for (size_t i = 0; i < alone.size(); ++i) {
        ASSERT_EQ(std::tuple(shared.keypoints[i].x, shared.keypoints[i].angle, shared.keypoints[i].response),
                  std::tuple(alone.keypoints[i].x, alone.keypoints[i].angle, alone.keypoints[i].response));
      }
    }
  }
}

TEST(ExtractLocal, GivesDescriptorsOfOneLengthStrongestFirst) {
  const LocalFeatures features = *ExtractLocal(PaintSpots(3, 512, 400, 400));
  ASSERT_GT(features.size(), 100u);
  EXPECT_LE(features.size(), kMostKeypoints);
  for (size_t i = 0; i < features.size(); ++i) {
    int32_t squares = 0;
    for (const uint8_t value : features.descriptor(i)) squares += int32_t{value} * value;
    EXPECT_NEAR(std::sqrt(squares), 512, 12);
    const Keypoint& keypoint = features.keypoints[i];
    EXPECT_GT(keypoint.x, 0);
    EXPECT_LT(keypoint.x, 512);
    EXPECT_GT(keypoint.y, 0);
    EXPECT_LT(keypoint.y, 400);
    EXPECT_GE(keypoint.angle, 0);
    EXPECT_LT(keypoint.angle, 2 * std::numbers::pi);
    if (i > 0) {
      EXPECT_LE(keypoint.response, features.keypoints[i - 1].response);
    }
  }
}

TEST(ExtractLocal, FindsThemAgainTurnedSmallerAndDarker) {
  const std::vector<Spot> spots = Spots(7, 512, 384, 300);
  const LocalFeatures features = *ExtractLocal(Paint(512, 384, [&](double x, double y) { return SumAt(spots, x, y); }));
  ASSERT_GT(features.size(), 100u);
  const size_t most = features.size();
  // Spots by themselves look alike, so that some take each other's place.
  // By a quarter of a turn.
  const LocalFeatures turned =
      *ExtractLocal(Paint(384, 512, [&](double x, double y) { return SumAt(spots, y, 384 - x); }));
  EXPECT_GT(FoundAgain(features, turned, [](double x, double y) { return std::pair(384 - y, x); }), most * 85 / 100);
  // By 30 degrees around the middle.
  const double c = std::cos(std::numbers::pi / 6), s = std::sin(std::numbers::pi / 6);
  const LocalFeatures slanted = *ExtractLocal(Paint(512, 384, [&](double x, double y) {
    return SumAt(spots, 256 + c * (x - 256) - s * (y - 192), 192 + s * (x - 256) + c * (y - 192));
  }));
  EXPECT_GT(FoundAgain(slanted, features,
                       [&](double x, double y) {
                         return std::pair(256 + c * (x - 256) - s * (y - 192), 192 + s * (x - 256) + c * (y - 192));
                       }),
            slanted.size() * 6 / 10);
  // At 0.6 of the size: positions are in the frame, and so the same.
  const LocalFeatures small =
      *ExtractLocal(Paint(308, 231, [&](double x, double y) { return SumAt(spots, x * 512 / 308, y * 512 / 308); }));
  EXPECT_GT(FoundAgain(small, features, [](double x, double y) { return std::pair(x, y); }), small.size() * 8 / 10);
  // With a third of the contrast gone.
  const LocalFeatures dark =
      *ExtractLocal(Paint(512, 384, [&](double x, double y) { return 0.6 * SumAt(spots, x, y); }));
  EXPECT_GT(FoundAgain(dark, features, [](double x, double y) { return std::pair(x, y); }), dark.size() * 85 / 100);
}

TEST(ExtractLocal, BringsALargePictureToTheFrame) {
  const std::vector<Spot> spots = Spots(9, 1024, 700, 500);
  const LocalFeatures large = *ExtractLocal(Paint(1024, 700, [&](double x, double y) { return SumAt(spots, x, y); }));
  const LocalFeatures frame =
      *ExtractLocal(Paint(512, 350, [&](double x, double y) { return SumAt(spots, 2 * x, 2 * y); }));
  ASSERT_GT(frame.size(), 100u);
  EXPECT_GT(FoundAgain(frame, large, [](double x, double y) { return std::pair(x, y); }), frame.size() * 8 / 10);
}

TEST(ExtractLocal, FindsNothingWhereThereIsNothing) {
  for (const auto& [width, height] : {std::pair(1u, 1u),
                                      {2u, 2u},
                                      {5u, 400u},
                                      {6u, 6u},
                                      {20'000u, 10u},
                                      {10u, 20'000u},
                                      {512u, 384u},
                                      {600u, 600u}}) {
    for (const uint8_t value : {0, 255, 77}) {
      const std::vector<uint8_t> flat(size_t{3} * width * height, value);
      const auto features = ExtractLocal(Pixels{width, height, flat, width, height});
      ASSERT_TRUE(features.ok()) << width << " x " << height;
      EXPECT_EQ(features->size(), 0u);
      EXPECT_TRUE(features->descriptors.empty());
    }
  }
  EXPECT_TRUE(absl::IsInvalidArgument(ExtractLocal(Pixels{}).status()));
}

TEST(ExtractLocal, TakesNoiseOfAnySize) {
  Random random(11);
  for (int round = 0; round < 60; ++round) {
    const auto width = static_cast<uint32_t>(1 + random.Below(120)),
               height = static_cast<uint32_t>(1 + random.Below(120));
    Pixels pixels{width, height, {}, width, height};
    for (size_t i = 0; i < size_t{3} * width * height; ++i) pixels.rgb.push_back(static_cast<uint8_t>(random()));
    const LocalFeatures features = *ExtractLocal(pixels);
    ASSERT_EQ(features.descriptors.size(), features.size() * kLocalDescriptorSize);
    for (const Keypoint& keypoint : features.keypoints) {
      ASSERT_TRUE(std::isfinite(keypoint.x + keypoint.y + keypoint.sigma + keypoint.angle + keypoint.response));
      ASSERT_GT(keypoint.sigma, 0);
    }
  }
}

#if LIKENESS_OPENCV

std::vector<Pixels> RealPictures() {
  const char* named = std::getenv("LIKENESS_DATA");
  const std::filesystem::path data = named != nullptr
                                         ? std::filesystem::path(named)
                                         : std::filesystem::path(LIKENESS_SOURCE_DIR) / ".." / "shared" / "data";
  std::vector<Pixels> pictures;
  for (const char* folder : {"ccp/photos", "products/images", "clothing/dress", "clothing/shoes"}) {
    std::error_code error;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(data / folder, error)) files.push_back(entry.path());
    std::ranges::sort(files);
    for (size_t i = 0; i < 4 && i * 17 < files.size(); ++i) {
      const auto bytes = ReadFile(files[i * 17]);
      auto pixels = DecodeImage(AsBytes(*bytes), {}, kStandardSize);
      if (pixels.ok() && std::max(pixels->width, pixels->height) <= kLocalFrame) pictures.push_back(*std::move(pixels));
    }
  }
  return pictures;
}

TEST(ExtractLocal, AgreesWithOpenCv) {
  std::vector<Pixels> pictures = RealPictures();
  for (uint64_t seed = 1; seed <= 3; ++seed) pictures.push_back(PaintSpots(seed, 512, 384, 300));
  cv::setNumThreads(1);
  size_t theirs = 0, found = 0, alike = 0;
  for (const Pixels& pixels : pictures) {
    const cv::Mat rgb(static_cast<int>(pixels.height), static_cast<int>(pixels.width), CV_8UC3,
                      const_cast<uint8_t*>(pixels.rgb.data()));
    cv::Mat gray, descriptors;
    cv::cvtColor(rgb, gray, cv::COLOR_RGB2GRAY);
    std::vector<cv::KeyPoint> keypoints;
    cv::SIFT::create(static_cast<int>(kMostKeypoints))->detectAndCompute(gray, cv::noArray(), keypoints, descriptors);
    const LocalFeatures features = *ExtractLocal(pixels);
    const double scale = std::max(pixels.width, pixels.height) / double{kLocalFrame};
    for (size_t i = 0; i < keypoints.size(); ++i) {
      const cv::KeyPoint& keypoint = keypoints[i];
      ++theirs;
      for (size_t j = 0; j < features.size(); ++j) {
        const Keypoint& own = features.keypoints[j];
        // Theirs count from the middle of the first pixel, and lie a quarter of a pixel off by their way of doubling.
        const double size = 2 * own.sigma * scale / keypoint.size;
        const double turn = std::remainder(own.angle - keypoint.angle * std::numbers::pi / 180, 2 * std::numbers::pi);
        if (std::hypot(own.x * scale - 0.5 - keypoint.pt.x, own.y * scale - 0.5 - keypoint.pt.y) > 1.5 || size > 1.25 ||
            size < 0.8 || std::abs(turn) > 0.3) {
          continue;
        }
        ++found;
        double sum = 0, product = 0;
        for (int k = 0; k < 128; ++k) sum += descriptors.at<float>(static_cast<int>(i), k);
        for (int k = 0; k < 128; ++k) {
          // Their directions run the other way round.
          product += std::sqrt(descriptors.at<float>(static_cast<int>(i), k) / sum) *
                     features.descriptor(j)[static_cast<size_t>(k / 8 * 8 + (8 - k % 8) % 8)] / 512.0;
        }
        alike += product > 0.93;
        break;
      }
    }
  }
  ASSERT_GT(theirs, 500u);
  EXPECT_GT(found, theirs * 85 / 100) << theirs;
  EXPECT_GT(alike, found * 90 / 100) << found;
}

#else

TEST(ExtractLocal, AgreesWithOpenCv) { GTEST_SKIP() << "OpenCV is not installed (libopencv-features2d-dev)"; }

#endif

}  // namespace
}  // namespace likeness
