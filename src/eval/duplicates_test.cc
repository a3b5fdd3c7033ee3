// The altered copies are what their names say, and the report counts what it should.
#include "eval/duplicates.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/file.h"
#include "eval/duplicate_scenes.h"
#include "image/decode.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

Pixels Noise(uint32_t width, uint32_t height) {
  Random random(3);
  Pixels pixels{width, height, {}, width, height};
  for (size_t i = 0; i < size_t{3} * width * height; ++i) pixels.rgb.push_back(static_cast<uint8_t>(random()));
  return pixels;
}

TEST(AlterTest, SizesAreThoseOfTheNames) {
  const Pixels picture = Noise(100, 80);
  const auto area = [&](Alteration kind) {
    Random random(7);
    const Pixels altered = *Alter(picture, kind, random);
    EXPECT_EQ(altered.rgb.size(), size_t{3} * altered.width * altered.height);
    return altered.width * altered.height / 8000.0;
  };
  EXPECT_NEAR(area(Alteration::kCrop80), 0.8, 0.02);
  EXPECT_NEAR(area(Alteration::kCrop50), 0.5, 0.02);
  EXPECT_NEAR(area(Alteration::kCrop30), 0.3, 0.02);
  EXPECT_GE(area(Alteration::kRotate), 1.0);
  EXPECT_EQ(area(Alteration::kMirror), 1.0);
  EXPECT_NEAR(area(Alteration::kScale25), 1.0 / 16, 0.002);
  EXPECT_GT(area(Alteration::kBorder), 1.15);
  EXPECT_EQ(area(Alteration::kText), 1.0);
  EXPECT_NEAR(area(Alteration::kAspect), 0.75, 0.01);
  EXPECT_EQ(area(Alteration::kBrightness), 1.0);
}

TEST(AlterTest, TheSameSeedGivesTheSameBytes) {
  const Pixels picture = Noise(60, 60);
  for (const AlterationRow& row : AlterationRows()) {
    Random one(11), two(11);
    const std::string first = *MakeAltered(picture, row.kind, one);
    EXPECT_EQ(first, *MakeAltered(picture, row.kind, two)) << row.name;
    EXPECT_TRUE(DecodeImage(AsBytes(first)).ok()) << row.name;
  }
}

TEST(AlterTest, SurvivesPicturesOfOnePixel) {
  for (const AlterationRow& row : AlterationRows()) {
    Random random(13);
    EXPECT_TRUE(Alter(Noise(1, 1), row.kind, random).ok()) << row.name;
  }
}

TEST(DuplicateReportTest, OneMissedBarFails) {
  DuplicateReport report;
  report.rows.push_back({.name = "mirror", .recall_bar = 0.9, .queries = 10, .found = 9});
  report.right = 9;
  EXPECT_TRUE(report.ok());
  report.wrong = 1;
  EXPECT_FALSE(report.ok());
  report.wrong = 0;
  report.rows[0].found = 8;
  EXPECT_FALSE(report.ok());
  EXPECT_NE(DuplicateReportToJson(report).find("\"recall_mirror\""), std::string::npos);
  EXPECT_NE(DuplicateReportToText(report).find("MISSED"), std::string::npos);
}

TEST(DuplicateReportTest, AMissSaysWhereItWasLost) {
  DuplicateReport report;
  DuplicateMiss miss{"ccp/photos/1.jpg", "text", {}};
  miss.trace.stage = DuplicateTrace::Stage::kVerification;
  miss.trace.by_hash = 3;
  report.misses.push_back(miss);
  const std::string json = DuplicateReportToJson(report);
  EXPECT_NE(json.find("\"lost_by\":\"verification\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"place_by_hash\":3"), std::string::npos) << json;
  EXPECT_NE(json.find("\"place_by_words\":null"), std::string::npos) << json;
  EXPECT_NE(DuplicateReportToText(report).find("missed: ccp/photos/1.jpg (text), lost by verification"),
            std::string::npos);
}

TEST(ReadScenesTest, EveryPairHasAReasonAndTheFilesPairsAreAdded) {
  for (const KnownScene& scene : KnownScenes()) {
    EXPECT_LT(scene.a, scene.b);
    EXPECT_FALSE(scene.why.empty()) << scene.a;
  }
  EXPECT_EQ(ReadScenes({})->size(), KnownScenes().size());
  const ScratchFolder folder;
  const auto file = folder.path() / "same.txt";
  ASSERT_TRUE(WriteFileAtomic(file, AsBytes("# two\n\nb.jpg\ta.jpg\tthe same fold\nc.jpg\td.jpg\tthe same")).ok());
  const auto read = ReadScenes(file);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->size(), KnownScenes().size() + 2);
  EXPECT_TRUE(read->contains({"a.jpg", "b.jpg"}));
  for (const std::string_view bad : {"a.jpg b.jpg", "a.jpg\tb.jpg", "\tb.jpg\twhy", "a.jpg\t\twhy", "a.jpg\tb.jpg\t"}) {
    ASSERT_TRUE(WriteFileAtomic(file, AsBytes(bad)).ok());
    EXPECT_EQ(ReadScenes(file).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(ReadScenes(folder.path() / "none").status().code(), absl::StatusCode::kNotFound);
}

TEST(EvaluateDuplicatesTest, SaysWhatIsMissing) {
  DuplicateEvalOptions options;
  options.data = "/nowhere";
  options.vocabulary = "/nowhere/words.safetensors";
  EXPECT_EQ(EvaluateDuplicates(options).status().code(), absl::StatusCode::kNotFound);
  options.vocabulary = LIKENESS_SOURCE_DIR "/models/vocabulary/default.safetensors";
  EXPECT_EQ(EvaluateDuplicates(options).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace likeness
