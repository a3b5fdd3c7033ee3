// Keypoints become words, signatures and geometry in 18 bytes, and the words are the nearest ones.
#include "feature/local.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "image/decode.h"
#include "support/odd_files.h"
#include "support/scratch_folder.h"
#include "support/tiny_vocabulary.h"

namespace likeness {
namespace {

using testing::HasSubstr;

std::vector<uint8_t> RandomDescriptors(Random& random, size_t count) {
  std::vector<uint8_t> rows(count * kLocalDescriptorSize);
  for (uint8_t& value : rows) value = static_cast<uint8_t>(160 * random.Unit() * random.Unit());
  return rows;
}

std::span<const uint8_t, kLocalDescriptorSize> RowOf(const std::vector<uint8_t>& rows, size_t i) {
  return std::span<const uint8_t, kLocalDescriptorSize>(rows.data() + i * kLocalDescriptorSize, kLocalDescriptorSize);
}

Pixels Noise(uint64_t seed, uint32_t width, uint32_t height) {
  Random random(seed);
  Pixels pixels{width, height, {}, width, height};
  for (size_t i = 0; i < size_t{3} * width * height; ++i) pixels.rgb.push_back(static_cast<uint8_t>(random()));
  return pixels;
}

TEST(PackLocal, KeepsWhatTheFormatSays) {
  Random random(5);
  for (int round = 0; round < 1000; ++round) {
    const LocalFeature feature = {static_cast<uint32_t>(random()),
                                  random(),
                                  static_cast<float>(random.Unit() * 512),
                                  static_cast<float>(random.Unit() * 512),
                                  static_cast<float>(std::exp2(random.Unit() * 12 - 3)),
                                  static_cast<float>(random.Unit() * 2 * std::numbers::pi)};
    std::array<std::byte, kLocalRowSize> row, again;
    PackLocal(feature, row);
    const LocalFeature back = UnpackLocal(row);
    EXPECT_EQ(back.word, feature.word);
    EXPECT_EQ(back.signature, feature.signature);
    EXPECT_NEAR(back.x, feature.x, 1 / 128.0);
    EXPECT_NEAR(back.y, feature.y, 1 / 128.0);
    EXPECT_NEAR(std::log2(back.sigma), std::log2(feature.sigma), 1 / 31.9);
    EXPECT_LE(std::abs(std::remainder(back.angle - feature.angle, 2 * std::numbers::pi)), 0.0124);
    PackLocal(back, again);
    EXPECT_EQ(row, again);
  }
}

TEST(PackLocal, IsTheWorkedExampleOfItsPage) {
  const LocalFeature feature = {9284, 0x1122334455667788, 256, 100.25f, 4, static_cast<float>(std::numbers::pi / 2)};
  EXPECT_EQ(HexEncode(PackLocals(std::span(&feature, 1))),
            "442400008877665544332211"
            "0080"
            "2032"
            "60"
            "40");
}

TEST(PackLocal, TakesAnyNumbers) {
  const float nan = std::nanf(""), infinite = HUGE_VALF;
  for (const float value : {nan, infinite, -infinite, -1.0f, 1e30f, 0.0f}) {
    std::array<std::byte, kLocalRowSize> row;
    PackLocal({1, 2, value, value, value, value}, row);
    const LocalFeature back = UnpackLocal(row);
    EXPECT_TRUE(std::isfinite(back.x + back.y + back.sigma + back.angle));
  }
}

TEST(PackLocal, RowsLieByWord) {
  std::vector<LocalFeature> features;
  for (const uint32_t word : {70'000u, 3u, 256u, 3u, 255u}) features.push_back({word, word * 7, 1, 2, 3, 0});
  const auto back = *UnpackLocals(PackLocals(features));
  ASSERT_EQ(back.size(), 5u);
  EXPECT_TRUE(std::ranges::is_sorted(back, {}, &LocalFeature::word));
  std::ranges::reverse(features);
  EXPECT_EQ(*UnpackLocals(PackLocals(features)), back);
  EXPECT_TRUE(absl::IsDataLoss(UnpackLocals(std::vector<std::byte>(19)).status()));
}

TEST(WordSearch, LooksAtAllWordsFindsTheNearest) {
  for (const size_t words : {1u, 5u, 64u, 600u, 3000u}) {
    Random random(words);
    VocabularyParts parts = TinyVocabularyParts(words);
    const WordSearch search(parts.words, parts.cells);
    EXPECT_EQ(search.words(), words);
    const std::vector<uint8_t> queries = RandomDescriptors(random, 50);
    for (size_t q = 0; q < 50; ++q) {
      std::vector<WordMatch> exact;
      for (uint32_t w = 0; w < words; ++w) {
        int32_t distance = 0;
        for (size_t i = 0; i < kLocalDescriptorSize; ++i) {
          const int32_t difference = int32_t{RowOf(queries, q)[i]} - RowOf(parts.words, w)[i];
          distance += difference * difference;
        }
        exact.push_back({w, distance});
      }
      std::ranges::sort(exact, {}, [](const WordMatch& m) { return std::pair(m.distance, m.word); });
      std::vector<WordMatch> found(5);
      const size_t count = search.Nearest(RowOf(queries, q), search.cells(), found);
      ASSERT_EQ(count, std::min<size_t>(5, words));
      for (size_t i = 0; i < count; ++i) EXPECT_EQ(found[i], exact[i]);
      // With few cells it may miss some, and still fills what was asked for.
      ASSERT_EQ(search.Nearest(RowOf(queries, q), 1, found), count);
      EXPECT_GE(found[0].distance, exact[0].distance);
    }
  }
}

TEST(WordSearch, ManyAtOnceFindWhatOneFinds) {
  for (const size_t words : {1u, 64u, 600u, 3000u}) {
    Random random(words);
    VocabularyParts parts = TinyVocabularyParts(words);
    // Some words twice: ties.
    std::ranges::copy_n(parts.words.begin(), std::min<ptrdiff_t>(30, words / 2) * 128,
                        parts.words.end() - 128 * std::min<ptrdiff_t>(30, words / 2));
    const WordSearch search(parts.words, parts.cells);
    std::vector<uint8_t> queries = RandomDescriptors(random, 300);
    std::ranges::copy_n(parts.words.begin(), 128, queries.begin());
    for (const size_t probes : {size_t{1}, size_t{4}, search.cells() + 3}) {
      std::vector<WordMatch> many(300), one(1);
      search.NearestOfEach(queries, probes, many);
      for (size_t q = 0; q < 300; ++q) {
        ASSERT_EQ(search.Nearest(RowOf(queries, q), probes, one), 1u);
        EXPECT_EQ(many[q], one[0]) << words << " " << probes;
      }
      search.NearestOfEach({}, probes, {});
    }
  }
}

TEST(GroupWords, DoesNotDependOnThreads) {
  Random random(4);
  std::vector<uint8_t> one = RandomDescriptors(random, 2000), four = one, before = one;
  const WordCells a = GroupWords(one, 8, 1), b = GroupWords(four, 8, 4);
  EXPECT_EQ(one, four);
  EXPECT_EQ(a.begins, b.begins);
  EXPECT_EQ(a.centers, b.centers);
  std::ranges::sort(one);
  std::ranges::sort(before);
  EXPECT_EQ(one, before) << "the words stay the same";
}

TEST(Vocabulary, IsReadAsItWasWritten) {
  const ScratchFolder folder;
  const auto path = folder.path() / "v" / "tiny.safetensors";
  const VocabularyParts parts = TinyVocabularyParts(700);
  ASSERT_TRUE(WriteVocabulary(path, parts).ok());
  const auto read = Vocabulary::Open(path);
  ASSERT_TRUE(read.ok()) << MessageOf(read.status());
  const auto made = *Vocabulary::FromParts(parts);
  EXPECT_EQ((*read)->digest(), made->digest());
  EXPECT_EQ(*ReadVocabularyDigest(path), made->digest());
  EXPECT_EQ(LocalFeatureKey(**read), LocalFeatureKey(*ReadVocabularyDigest(path)));
  EXPECT_NE(LocalFeatureKey(**read), LocalFeatureKey(*MakeTinyVocabulary(64)));
  Random random(2);
  const std::vector<uint8_t> queries = RandomDescriptors(random, 20);
  for (size_t i = 0; i < 20; ++i)
    EXPECT_EQ((*read)->Signature(RowOf(queries, i), 5), made->Signature(RowOf(queries, i), 5));
}

TEST(Vocabulary, ReadsVersion1) {
  const auto path = std::filesystem::path(LIKENESS_SOURCE_DIR) / "tests" / "format" / "vocabulary.v1.safetensors";
  const auto read = Vocabulary::Open(path);
  ASSERT_TRUE(read.ok()) << MessageOf(read.status());
  EXPECT_EQ((*read)->size(), 4u);
  EXPECT_EQ((*read)->digest().size(), 16u);
  Random random(1);
  WordMatch match;
  const std::vector<uint8_t> query = RandomDescriptors(random, 1);
  ASSERT_EQ((*read)->search().Nearest(RowOf(query, 0), 1, std::span(&match, 1)), 1u);
}

TEST(Vocabulary, DamageIsSeen) {
  const ScratchFolder folder;
  const auto path = folder.path() / "tiny.safetensors";
  ASSERT_TRUE(WriteVocabulary(path, TinyVocabularyParts()).ok());
  const std::string good = *ReadFile(path);
  const std::string digest = MakeTinyVocabulary()->digest();
  for (size_t at = 0; at < good.size(); at += 997) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    ASSERT_TRUE(WriteFileAtomic(path, AsBytes(bad)).ok());
    const auto read = Vocabulary::Open(path);
    if (!read.ok()) {
      EXPECT_THAT(MessageOf(read.status()), HasSubstr("tiny.safetensors"));
    } else {  // only words for people may have changed
      EXPECT_EQ((*read)->digest(), digest) << at;
    }
  }
  ASSERT_TRUE(WriteFileAtomic(path, AsBytes(good.substr(0, good.size() - 5))).ok());
  EXPECT_TRUE(absl::IsDataLoss(Vocabulary::Open(path).status()));
  EXPECT_TRUE(absl::IsNotFound(Vocabulary::Open(folder.path() / "none").status()));
  VocabularyParts parts = TinyVocabularyParts();
  parts.medians.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(Vocabulary::FromParts(parts).status()));
  parts = TinyVocabularyParts();
  parts.cells.begins.back() += 1;
  EXPECT_TRUE(absl::IsDataLoss(Vocabulary::FromParts(parts).status()));
  parts = TinyVocabularyParts();
  parts.projection[7] = std::nanf("");
  EXPECT_TRUE(absl::IsDataLoss(Vocabulary::FromParts(parts).status()));
}

TEST(Vocabulary, SignaturesKeepNearness) {
  const auto vocabulary = MakeTinyVocabulary();
  Random random(6);
  double near = 0, far = 0;
  for (int round = 0; round < 50; ++round) {
    const std::vector<uint8_t> rows = RandomDescriptors(random, 2);
    std::vector<uint8_t> shaken(rows.begin(), rows.begin() + kLocalDescriptorSize);
    for (uint8_t& value : shaken) value = static_cast<uint8_t>(std::clamp(value + random.Normal() * 6, 0.0, 255.0));
    const uint64_t signature = vocabulary->Signature(RowOf(rows, 0), 3);
    near += std::popcount(signature ^ vocabulary->Signature(RowOf(shaken, 0), 3));
    far += std::popcount(signature ^ vocabulary->Signature(RowOf(rows, 1), 3));
  }
  EXPECT_LT(near / 50, 10);
  EXPECT_GT(far / 50, 16);
}

TEST(LocalExtractor, GivesRowsByWord) {
  const auto vocabulary = MakeTinyVocabulary();
  const auto extractor = MakeLocalExtractor(vocabulary);
  EXPECT_EQ(extractor->key(), LocalFeatureKey(*vocabulary));
  EXPECT_EQ(extractor->layout(), (FeatureLayout{Dtype::kU8, 18, true}));
  const Pixels pictures[] = {Noise(1, 200, 150), Pixels{50, 50, std::vector<uint8_t>(7500, 200), 50, 50}};
  const auto values = *extractor->Extract(pictures);
  ASSERT_EQ(values.size(), 2u);
  const auto features = *UnpackLocals(*values[0]);
  ASSERT_GT(features.size(), 50u);
  EXPECT_TRUE(std::ranges::is_sorted(features, {}, &LocalFeature::word));
  EXPECT_LT(features.back().word, vocabulary->size());
  EXPECT_TRUE(values[1]->empty()) << "a picture of one color";
  EXPECT_EQ(PackLocals(AssignWords(*ExtractLocal(pictures[0]), *vocabulary)), *values[0]);
  // Several words a keypoint, nearest first.
  const LocalFeatures raw = *ExtractLocal(pictures[0]);
  const auto several = AssignWords(raw, *vocabulary, 3), single = AssignWords(raw, *vocabulary);
  ASSERT_EQ(several.size(), 3 * single.size());
  for (size_t i = 0; i < single.size(); ++i) EXPECT_EQ(several[3 * i], single[i]);
}

TEST(LocalExtractor, TakesOddPictures) {
  const auto extractor = MakeLocalExtractor(MakeTinyVocabulary());
  size_t decoded = 0;
  for (const OddFile& file : MakeOddFiles(3, 120)) {
    const auto pixels = DecodeImage(AsBytes(file.bytes), {}, extractor->decode_size());
    if (!pixels.ok()) continue;
    ++decoded;
    const auto values = extractor->Extract(std::span(&*pixels, 1));
    ASSERT_TRUE(values.ok() && values->at(0).ok()) << file.name;
    for (const LocalFeature& feature : *UnpackLocals(*values->at(0))) {
      ASSERT_TRUE(std::isfinite(feature.x + feature.y + feature.sigma + feature.angle)) << file.name;
    }
  }
  EXPECT_GT(decoded, 20u);
  EXPECT_FALSE((*extractor->Extract(std::vector<Pixels>(1)))[0].ok()) << "no pixels: a reason, not an end";
}

}  // namespace
}  // namespace likeness
