#include "eval/relevance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "eval/picture_encoder.h"
#include "image/encode.h"
#include "support/scratch_folder.h"
#include "support/tiny_model.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// A plain field of one color with noise: red, green and blue things, each different from the other.
std::string ColorPicture(uint64_t seed, size_t channel) {
  Random random(seed);
  Pixels pixels;
  pixels.width = pixels.full_width = 40;
  pixels.height = pixels.full_height = 30;
  pixels.rgb.resize(size_t{40} * 30 * 3);
  for (size_t i = 0; i < pixels.rgb.size(); ++i) {
    pixels.rgb[i] = static_cast<uint8_t>((i % 3 == channel ? 190 : 30) + random.Below(50));
  }
  return *EncodeJpeg(pixels, 90);
}

class RelevanceTest : public testing::Test {
 protected:
  // red, green and blue of six pictures each, one file that is no picture, and a class of one.
  static void SetUpTestSuite() {
    scratch_ = new ScratchFolder;
    folder_ = new fs::path(scratch_->path());
    const std::vector<std::string> names = {"red", "green", "blue <&>"};
    for (size_t channel = 0; channel < 3; ++channel) {
      for (size_t i = 0; i < 6; ++i) {
        Write("set/" + names[channel] + "/" + std::to_string(i) + ".jpg", ColorPicture(100 * channel + i, channel));
      }
    }
    Write("set/red/broken.jpg", "this is no picture");
    Write("set/alone/1.jpg", ColorPicture(999, 0));
    const auto model = InstallTinyModel(*folder_ / "models", "tiny");
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = new ModelFiles(*model);
  }
  static void TearDownTestSuite() {
    delete folder_;
    delete scratch_;
    delete model_;
  }
  static void Write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(WriteFileAtomic(*folder_ / name, AsBytes(content)).ok());
  }
  static RelevanceOptions Options() {
    RelevanceOptions options;
    options.data = *folder_ / "set";
    options.models = {*model_};
    options.code_bits = {64, 128};
    options.bootstrap.resamples = 100;
    options.latency_queries = 4;
    options.threads = 2;
    options.examples = 1;
    return options;
  }

  static ScratchFolder* scratch_;
  static fs::path* folder_;
  static ModelFiles* model_;
};
ScratchFolder* RelevanceTest::scratch_ = nullptr;
fs::path* RelevanceTest::folder_ = nullptr;
ModelFiles* RelevanceTest::model_ = nullptr;

TEST_F(RelevanceTest, JudgesASetFromFilesToFigures) {
  std::vector<std::string> stages;
  const auto report = EvaluateRelevance(Options(), [&](std::string_view stage, size_t done, size_t total) {
    EXPECT_LE(done, total) << stage;
    if (stages.empty() || stages.back() != stage) stages.emplace_back(stage);
  });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->pictures, 19u);
  EXPECT_EQ(report->queries, 18u);
  EXPECT_EQ(report->without_relevant, 1u);
  ASSERT_EQ(report->unreadable.size(), 1u);
  EXPECT_THAT(report->unreadable[0].source, HasSubstr("broken.jpg"));
  ASSERT_EQ(report->models.size(), 2u);
  EXPECT_EQ(report->models[0].name, "tiny");
  EXPECT_FALSE(report->models[0].baseline);
  // Colors this plain are told apart by a histogram; only the lone red picture can come between.
  const ModelReport& baseline = report->models[1];
  EXPECT_TRUE(baseline.baseline);
  EXPECT_GT(baseline.plain.p_at_1.value, 0.75);
  EXPECT_GT(baseline.binary().search.p_at_1.value, 0.75);
  EXPECT_GT(report->models[0].plain.p_at_1.value, 0.75);
  ASSERT_TRUE(baseline.latency.has_value());
  EXPECT_GT(baseline.latency->extraction.p50, 0);
  EXPECT_LE(baseline.latency->total.p50, baseline.latency->total.p99);
  EXPECT_EQ(report->examples.size(), 3u);
  EXPECT_THAT(report->examples[0].query.jpeg, Not(testing::IsEmpty()));
  EXPECT_EQ(report->examples[0].results.size(), 10u);
  EXPECT_THAT(stages, testing::Contains("vectors tiny"));
  EXPECT_THAT(stages, testing::Contains("latency hsv_histogram"));
}

TEST_F(RelevanceTest, WritesTheContractAsJson) {
  RelevanceOptions options = Options();
  options.bars = RelevanceBars{.p_at_1 = 2, .map = 0, .p_at_1_loss = 1, .map_loss = 1};
  const auto report = EvaluateRelevance(options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(report->ok());
  const std::string text = RelevanceReportToJson(*report);
  EXPECT_THAT(text, Not(HasSubstr("\n")));
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["queries"], 18);
  for (const auto& model : json["models"]) {
    for (const char* field : {"p_at_1", "p_at_5", "p_at_10", "map"}) {
      EXPECT_TRUE(model[field].is_number()) << field;
      EXPECT_TRUE(model["binary"][field].is_number()) << field;
      EXPECT_EQ(model[std::string(field) + "_interval"].size(), 2u) << field;
    }
    EXPECT_TRUE(model["name"].is_string());
    EXPECT_EQ(model["binary"]["code_bits"], 128);
    EXPECT_EQ(model["codes"].size(), 2u);
    EXPECT_TRUE(model["latency_ms"]["p50"].is_number());
    EXPECT_TRUE(model["latency_ms"]["p99"].is_number());
  }
  ASSERT_EQ(json["results"].size(), 8u);
  EXPECT_EQ(json["results"][0]["name"], "tiny.p_at_1");
  EXPECT_EQ(json["results"][0]["bar"], 2);
  EXPECT_EQ(json["results"][0]["ok"], false);
  EXPECT_EQ(json["results"][1]["ok"], true);
  EXPECT_EQ(json["results"][3]["better"], "lower");
  EXPECT_TRUE(json["results"][4]["bar"].is_null());
  EXPECT_EQ(json["results"][4]["ok"], true);
}

TEST_F(RelevanceTest, TheSameTwiceIsTheSame) {
  RelevanceOptions options = Options();
  options.latency_queries = 0;
  options.cache = *folder_ / "cache.safetensors";
  const auto first = EvaluateRelevance(options);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(fs::exists(options.cache));
  // From the cache, on one thread, and without it.
  options.threads = 1;
  const auto second = EvaluateRelevance(options);
  ASSERT_TRUE(second.ok()) << second.status();
  options.cache.clear();
  const auto third = EvaluateRelevance(options);
  ASSERT_TRUE(third.ok()) << third.status();
  const auto figures = [](const RelevanceReport& report) {
    auto json = nlohmann::json::parse(RelevanceReportToJson(report));
    json.erase("threads");
    for (auto& model : json["models"]) model.erase("images_per_second");
    return json;
  };
  EXPECT_EQ(figures(*first), figures(*second));
  EXPECT_EQ(figures(*first), figures(*third));
  EXPECT_GT(first->models[0].images_per_second, 0);
  EXPECT_EQ(second->models[0].images_per_second, 0);
}

TEST_F(RelevanceTest, WritesOneHtmlFileThatNeedsNothingElse) {
  const auto report = EvaluateRelevance(Options());
  ASSERT_TRUE(report.ok()) << report.status();
  const std::string html = RelevanceReportToHtml(*report);
  EXPECT_THAT(html, testing::StartsWith("<!doctype html>"));
  EXPECT_THAT(html, HasSubstr("tiny"));
  EXPECT_THAT(html, HasSubstr("blue &lt;&amp;&gt;"));
  EXPECT_THAT(html, Not(HasSubstr("blue <&>")));
  EXPECT_THAT(html, HasSubstr("data:image/jpeg;base64,"));
  EXPECT_THAT(html, Not(HasSubstr("http:")));
  EXPECT_THAT(html, Not(HasSubstr("https:")));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
}

TEST_F(RelevanceTest, RefusesWhatMakesNoSense) {
  const auto refuses = [](const RelevanceOptions& options) {
    return EvaluateRelevance(options).status().code() == absl::StatusCode::kInvalidArgument;
  };
  RelevanceOptions options = Options();
  options.labels = "a.jsonl";
  EXPECT_TRUE(refuses(options));
  options.data.clear();
  EXPECT_TRUE(refuses(options)) << "a file without a field";
  options = Options();
  options.code_bits.clear();
  EXPECT_TRUE(refuses(options));
  options.code_bits = {5000};
  EXPECT_TRUE(refuses(options));
  options = Options();
  options.models.clear();
  options.bars = RelevanceBars();
  EXPECT_TRUE(refuses(options)) << "bars without a model";
  options = Options();
  options.data = *folder_ / "nowhere";
  EXPECT_EQ(EvaluateRelevance(options).status().code(), absl::StatusCode::kNotFound);
}

TEST(HsvBin, CountsColorsWhereTheyBelong) {
  EXPECT_EQ(HsvBin(0, 0, 0), 0u);
  EXPECT_EQ(HsvBin(255, 255, 255), 7u);
  EXPECT_EQ(HsvBin(255, 0, 0), 0u * 64 + 7 * 8 + 7);
  EXPECT_EQ(HsvBin(0, 255, 0), 2u * 64 + 7 * 8 + 7);  // 120 degrees of 45 a bin
  EXPECT_EQ(HsvBin(0, 0, 255), 5u * 64 + 7 * 8 + 7);  // 240 degrees
  EXPECT_EQ(HsvBin(128, 128, 128), 4u);
  EXPECT_EQ(HsvBin(255, 0, 10), 7u * 64 + 7 * 8 + 7);  // just below 360
}

// Every color has a bin: the corners of what bytes can be.
TEST(HsvBin, IsWithinTheHistogram) {
  for (int r = 0; r < 256; r += 15) {
    for (int g = 0; g < 256; g += 15) {
      for (int b = 0; b < 256; b += 5) {
        ASSERT_LT(HsvBin(static_cast<uint8_t>(r), static_cast<uint8_t>(g), static_cast<uint8_t>(b)), kHsvBins);
      }
    }
  }
}

TEST(HsvHistogram, IsAUnitVectorThatIgnoresPlace) {
  const auto encoder = MakeHsvHistogram();
  Pixels half;
  half.width = half.full_width = 64;
  half.height = half.full_height = 64;
  half.rgb.assign(size_t{64} * 64 * 3, 0);
  Pixels mirrored = half;
  for (size_t i = 0; i < size_t{64} * 64; ++i) {
    (i % 64 < 32 ? half : mirrored).rgb[3 * i] = 255;
  }
  std::vector<float> vectors(2 * encoder->dimension());
  const std::vector<Pixels> both = {half, mirrored};
  ASSERT_TRUE(encoder->Encode(both, vectors).ok());
  double norm = 0, product = 0;
  for (size_t i = 0; i < kHsvBins; ++i) {
    norm += vectors[i] * vectors[i];
    product += vectors[i] * vectors[kHsvBins + i];
  }
  EXPECT_NEAR(norm, 1, 1e-5);
  EXPECT_NEAR(product, 1, 1e-5);
}

}  // namespace
}  // namespace likeness
