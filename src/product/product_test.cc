// Altered copies of generated pictures are SAME, other pictures are not, and clusters do not chain.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/bytes.h"
#include "base/random.h"
#include "feature/local.h"
#include "image/decode.h"
#include "image/encode.h"
#include "image/resample.h"
#include "index/token_writer.h"
#include "product/displacement.h"
#include "product/duplicate_clusters.h"
#include "product/duplicate_finder.h"
#include "product/duplicate_json.h"
#include "product/token_words.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

std::shared_ptr<const Vocabulary> TheVocabulary() {
  static const auto vocabulary = *Vocabulary::Open(LIKENESS_SOURCE_DIR "/models/vocabulary/default.safetensors");
  return vocabulary;
}

// A picture full of boxes and discs of all sizes, the same for a seed.
Pixels Scene(uint64_t seed, uint32_t width = 360, uint32_t height = 280, int things = 140) {
  Random random(seed);
  Pixels pixels{width, height, {}, width, height};
  pixels.rgb.assign(size_t{width} * height * 3, static_cast<uint8_t>(random.Below(256)));
  for (int i = 0; i < things; ++i) {
    const double x = random.Unit() * width, y = random.Unit() * height;
    const double across = 3 + 40 * random.Unit() * random.Unit(), down = 3 + 40 * random.Unit() * random.Unit();
    const bool disc = random.Below(2) == 0;
    const uint8_t color[3] = {static_cast<uint8_t>(random()), static_cast<uint8_t>(random()),
                              static_cast<uint8_t>(random())};
    for (uint32_t py = 0; py < height; ++py) {
      for (uint32_t px = 0; px < width; ++px) {
        const double u = (px - x) / across, v = (py - y) / down;
        if (disc ? u * u + v * v > 1 : std::max(std::abs(u), std::abs(v)) > 1) continue;
        std::copy_n(color, 3, &pixels.rgb[(size_t{py} * width + px) * 3]);
      }
    }
  }
  return pixels;
}

Pixels Flat(uint32_t width, uint32_t height, uint8_t value) {
  return {width, height, std::vector<uint8_t>(size_t{width} * height * 3, value), width, height};
}

Pixels Crop(const Pixels& pixels, uint32_t x, uint32_t y, uint32_t width, uint32_t height) {
  Pixels crop{width, height, {}, width, height};
  for (uint32_t row = 0; row < height; ++row) {
    const auto from = pixels.rgb.begin() + static_cast<ptrdiff_t>((size_t{y + row} * pixels.width + x) * 3);
    crop.rgb.insert(crop.rgb.end(), from, from + static_cast<ptrdiff_t>(size_t{width} * 3));
  }
  return crop;
}

// Each pixel of the result from where `from` says.
template <typename From>
Pixels Remap(const Pixels& pixels, uint32_t width, uint32_t height, From from) {
  Pixels out = Flat(width, height, 128);
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      const auto [u, v] = from(x, y);
      if (u < 0 || v < 0 || u >= static_cast<int>(pixels.width) || v >= static_cast<int>(pixels.height)) continue;
      std::copy_n(&pixels.rgb[(static_cast<size_t>(v) * pixels.width + static_cast<size_t>(u)) * 3], 3,
                  &out.rgb[(size_t{y} * width + x) * 3]);
    }
  }
  return out;
}

Pixels Mirror(const Pixels& p) {
  return Remap(p, p.width, p.height, [&](uint32_t x, uint32_t y) {
    return std::pair(static_cast<int>(p.width - 1 - x), static_cast<int>(y));
  });
}

// Parts moved against one another by up to `most` pixels, as near and far things are when the camera was moved.
Pixels FromBeside(const Pixels& p, double most) {
  return Remap(p, p.width, p.height, [&](uint32_t x, uint32_t y) {
    const double u = 9.0 * x / p.width, v = 9.0 * y / p.height;
    return std::pair(static_cast<int>(std::lround(x + most * std::sin(v) * std::cos(u))),
                     static_cast<int>(std::lround(y + most * std::sin(u + 1) * std::cos(v))));
  });
}

// Every value times `factor`, cut off at white.
Pixels Brightened(Pixels pixels, double factor) {
  for (uint8_t& value : pixels.rgb) value = static_cast<uint8_t>(std::min(255.0, value * factor));
  return pixels;
}

// Lines of blocks, as letters are: as many keypoints as the picture has of its own.
Pixels WrittenUpon(Pixels pixels) {
  for (const uint32_t top : {30u, 200u}) {
    for (uint32_t y = top; y < top + 35; ++y) {
      for (uint32_t x = 20; x < pixels.width - 20; ++x) {
        Random cell(top * 1000 + y / 5 * 100 + x / 5);
        if (cell() % 2 == 0) std::fill_n(&pixels.rgb[(size_t{y} * pixels.width + x) * 3], 3, uint8_t{255});
      }
    }
  }
  return pixels;
}

// Red and blue of a part exchanged at about the same brightness.
Pixels Dyed(Pixels pixels, uint32_t left, uint32_t width) {
  for (uint32_t y = 0; y < pixels.height; ++y) {
    for (uint32_t x = left; x < left + width; ++x) {
      uint8_t* p = &pixels.rgb[(size_t{y} * pixels.width + x) * 3];
      const double luma = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
      const double red = std::clamp(luma + 40, 0.0, 255.0), blue = std::clamp(luma - 60, 0.0, 255.0);
      p[0] = static_cast<uint8_t>(red);
      p[1] = static_cast<uint8_t>(std::clamp((luma - 0.299 * red - 0.114 * blue) / 0.587, 0.0, 255.0));
      p[2] = static_cast<uint8_t>(blue);
    }
  }
  return pixels;
}

Pixels Resize(const Pixels& pixels, uint32_t width, uint32_t height) {
  ResampleOptions options;
  options.width = width;
  options.height = height;
  options.fit = Fit::kStretch;
  return *Resample(pixels, std::nullopt, options);
}

Pixels Recompressed(const Pixels& pixels, int quality) {
  const std::string jpeg = *EncodeJpeg(pixels, quality);
  return *DecodeImage(AsBytes(jpeg));
}

class PictureList final : public DuplicateSource {
 public:
  explicit PictureList(std::vector<Pixels> pictures) : pictures_(std::move(pictures)) {
    for (const Pixels& pixels : pictures_) {
      DuplicateRecord record{pixels.full_width, pixels.full_height, std::nullopt, {}};
      const auto local = MakeLocalExtractor(TheVocabulary())->Extract({&pixels, 1});
      record.local = *UnpackLocals(*local->front());
      const auto hash = MakeHashExtractor()->Extract({&pixels, 1});
      if (hash->front().ok()) record.hash = ParsePdqValue(*hash->front());
      records_.push_back(std::move(record));
    }
  }
  uint64_t doc_count() const override { return pictures_.size(); }
  std::optional<PdqValue> Hash(uint64_t document) const override { return records_[document].hash; }
  absl::StatusOr<DuplicateRecord> Read(uint64_t document) const override { return records_[document]; }
  absl::StatusOr<Pixels> ReadPixels(uint64_t document) const override {
    if (document == broken) return absl::DataLossError("gone");
    return pictures_[document];
  }
  uint64_t broken = ~uint64_t{0};

 private:
  std::vector<Pixels> pictures_;
  std::vector<DuplicateRecord> records_;
};

DuplicateQuery QueryOf(const Pixels& pixels) { return *DuplicateQuery::Of(pixels, *TheVocabulary()); }

class FinderTest : public testing::Test {
 protected:
  FinderTest() {
    std::vector<Pixels> pictures;
    for (uint64_t seed = 0; seed < 8; ++seed) pictures.push_back(Scene(seed));
    pictures.push_back(Flat(100, 100, 200));
    source_ = std::make_unique<PictureList>(std::move(pictures));
    finder_ = *DuplicateFinder::Make(*source_);
  }
  // The match with the document, or nothing.
  std::optional<DuplicateMatch> Find(const Pixels& query, uint64_t document) {
    for (DuplicateMatch& match : finder_->Find(QueryOf(query)).matches) {
      if (match.document == document) return std::move(match);
    }
    return std::nullopt;
  }
  std::unique_ptr<PictureList> source_;
  std::unique_ptr<DuplicateFinder> finder_;
};

TEST_F(FinderTest, AlteredCopiesAreSame) {
  const Pixels scene = Scene(3);
  const double cos = std::cos(0.5), sin = std::sin(0.5);
  const struct {
    const char* name;
    Pixels query;
  } cases[] = {
      {"itself", scene},
      {"recompressed", Recompressed(scene, 10)},
      {"smaller", Resize(scene, 90, 70)},
      {"squeezed", Resize(scene, 270, 280)},
      {"half of it", Crop(scene, 60, 40, 255, 198)},
      {"a third of it", Crop(scene, 120, 90, 197, 153)},
      {"mirrored", Mirror(scene)},
      {"blown out", Recompressed(Brightened(scene, 1.7), 85)},
      {"darkened", Recompressed(Brightened(scene, 0.5), 85)},
      {"written upon", Recompressed(WrittenUpon(scene), 85)},
      {"turned", Remap(scene, 420, 400,
                       [&](uint32_t x, uint32_t y) {
                         const double dx = x - 210.0, dy = y - 200.0;
                         return std::pair(static_cast<int>(std::floor(cos * dx + sin * dy + 180)),
                                          static_cast<int>(std::floor(-sin * dx + cos * dy + 140)));
                       })},
      {"framed",
       Remap(scene, 440, 340,
             [](uint32_t x, uint32_t y) { return std::pair(static_cast<int>(x) - 30, static_cast<int>(y) - 40); })},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const auto found = Find(c.query, 3);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->verdict, DuplicateVerdict::kSame) << DuplicateEvidenceJson(found->evidence);
    EXPECT_EQ(found->evidence.mirrored, std::string_view(c.name) == "mirrored");
  }
}

TEST_F(FinderTest, EvidenceTellsWhereThePictureLies) {
  const auto found = Find(Crop(Scene(5), 120, 60, 200, 160), 5);
  ASSERT_TRUE(found);
  const DuplicateEvidence& evidence = found->evidence;
  const Point corner = evidence.transform({0, 0}), end = evidence.transform({200, 160});
  EXPECT_NEAR(corner.x, 120, 3);
  EXPECT_NEAR(corner.y, 60, 3);
  EXPECT_NEAR(end.x, 320, 3);
  EXPECT_NEAR(end.y, 220, 3);
  EXPECT_NEAR(evidence.query_coverage, 1, 0.03);
  EXPECT_NEAR(evidence.document_coverage, 200.0 * 160 / (360 * 280), 0.03);
  EXPECT_NEAR(evidence.scale, 1, 0.03);
  EXPECT_NEAR(evidence.turned, 0, 2);
}

TEST_F(FinderTest, OtherPicturesAreNotSame) {
  for (const uint64_t seed : {100, 101, 102, 103}) {
    for (const DuplicateMatch& match : finder_->Find(QueryOf(Scene(seed))).matches) {
      EXPECT_NE(match.verdict, DuplicateVerdict::kSame) << seed;
    }
  }
}

// The same logo on two photographs: keypoints agree, the rest does not.
TEST_F(FinderTest, OneThingOnTwoPicturesIsNotSame) {
  Pixels query = Scene(200);
  const Pixels logo = Crop(Scene(2), 150, 100, 150, 120);
  for (uint32_t y = 0; y < logo.height; ++y) {
    std::copy_n(&logo.rgb[size_t{y} * logo.width * 3], size_t{logo.width} * 3,
                &query.rgb[(size_t{y + 120} * query.width + 160) * 3]);
  }
  const DuplicateJudgement judged = *finder_->Judge(QueryOf(query), 2);
  EXPECT_GE(judged.evidence.inliers, 8u);
  EXPECT_EQ(judged.verdict, DuplicateVerdict::kSimilar) << DuplicateEvidenceJson(judged.evidence);
}

TEST_F(FinderTest, ATraceTellsWhereADocumentIsLost) {
  using Stage = DuplicateTrace::Stage;
  const DuplicateQuery query = QueryOf(Scene(3));
  const DuplicateTrace found = *finder_->Trace(query, 3);
  EXPECT_EQ(found.stage, Stage::kFound);
  EXPECT_EQ(found.by_words, 0u);
  EXPECT_EQ(found.by_hash, 0u);
  EXPECT_EQ(found.place, 0u);
  EXPECT_EQ(found.judgement.verdict, DuplicateVerdict::kSame);
  DuplicateFindOptions none;
  none.most_by_words = none.most_by_hash = 0;
  const DuplicateTrace unseen = *finder_->Trace(query, 3, none);
  EXPECT_EQ(unseen.stage, Stage::kCandidates);
  EXPECT_EQ(unseen.judgement.verdict, DuplicateVerdict::kSame) << "it is told what would have been said";
  DuplicateFindOptions few;
  few.most_compared = 0;
  EXPECT_EQ(finder_->Trace(query, 3, few)->stage, Stage::kOrder);
  EXPECT_NE(finder_->Trace(query, 5)->stage, Stage::kFound);
  source_->broken = 3;
  EXPECT_EQ(finder_->Trace(query, 3)->stage, Stage::kReading);
}

TEST_F(FinderTest, ThreadsChangeNoAnswer) {
  DuplicateQueryOptions options;
  options.threads = 2;
  const Pixels picture = Recompressed(Mirror(Scene(4)), 60);
  const DuplicateQuery one = QueryOf(picture), two = *DuplicateQuery::Of(picture, *TheVocabulary(), options);
  EXPECT_EQ(one.forms(), two.forms());
  EXPECT_EQ(DuplicateEvidenceJson(finder_->Judge(one, 4)->evidence),
            DuplicateEvidenceJson(finder_->Judge(two, 4)->evidence));
}

TEST_F(FinderTest, PicturesWithFewKeypointsAreFoundByTheirHash) {
  // Soft slopes: nothing for a keypoint detector.
  const auto soft = [](double phase) {
    Pixels pixels = Flat(200, 200, 0);
    for (uint32_t y = 0; y < 200; ++y) {
      for (uint32_t x = 0; x < 200; ++x) {
        const double v = 128 + 60 * std::sin(x / 31.0 + phase) * std::cos(y / 23.0 - phase) +
                         50 * std::sin((x + 2.0 * y) / 57.0 + 3 * phase);
        std::fill_n(&pixels.rgb[(size_t{y} * 200 + x) * 3], 3, static_cast<uint8_t>(std::clamp(v, 0.0, 255.0)));
      }
    }
    return pixels;
  };
  const PictureList source({soft(0), soft(1.3), soft(2.1)});
  const auto finder = *DuplicateFinder::Make(source);
  const DuplicateAnswer answer = finder->Find(QueryOf(Recompressed(Resize(Mirror(soft(1.3)), 100, 100), 60)));
  ASSERT_FALSE(answer.matches.empty());
  EXPECT_EQ(answer.matches[0].document, 1u);
  EXPECT_EQ(answer.matches[0].verdict, DuplicateVerdict::kSame) << DuplicateEvidenceJson(answer.matches[0].evidence);
  EXPECT_TRUE(answer.matches[0].evidence.mirrored);
  for (size_t i = 1; i < answer.matches.size(); ++i) EXPECT_NE(answer.matches[i].verdict, DuplicateVerdict::kSame);
}

TEST_F(FinderTest, AFlatPictureHasNoDuplicates) {
  const DuplicateAnswer answer = finder_->Find(QueryOf(Flat(100, 100, 200)));
  EXPECT_TRUE(answer.matches.empty());
  EXPECT_FALSE(DuplicateQuery::Of(Pixels(), *TheVocabulary()).ok());
}

TEST_F(FinderTest, WhatCannotBeReadIsCountedAndNoMatch) {
  source_->broken = 3;
  const DuplicateAnswer answer = finder_->Find(QueryOf(Scene(3)));
  EXPECT_GE(answer.unreadable, 1u);
  for (const DuplicateMatch& match : answer.matches) EXPECT_NE(match.document, 3u);
}

TEST_F(FinderTest, OnlyAllowedDocumentsAreFound) {
  const DuplicateAnswer answer = finder_->Find(QueryOf(Scene(3)), {}, [](uint64_t document) { return document != 3; });
  for (const DuplicateMatch& match : answer.matches) EXPECT_NE(match.document, 3u);
}

TEST(ClustersTest, DoNotChain) {
  // A whole, its left part, its right part, and a part of the left: all SAME with the whole, left and right unlike.
  const Pixels whole = Scene(9, 480, 300, 260);
  const PictureList source(
      {Crop(whole, 0, 0, 225, 300), whole, Crop(whole, 255, 0, 225, 300), Scene(10), Crop(whole, 20, 40, 170, 200)});
  const auto finder = *DuplicateFinder::Make(source);
  FindPairsOptions options;
  options.threads = 2;
  const FoundPairs found = FindSamePairs(*finder, *TheVocabulary(), options);
  const auto same = [&](uint64_t a, uint64_t b) {
    return std::ranges::any_of(found.pairs, [&](const SamePair& pair) {
      return (pair.a == a && pair.b == b) || (pair.a == b && pair.b == a);
    });
  };
  EXPECT_TRUE(same(0, 1));
  EXPECT_TRUE(same(1, 2));
  EXPECT_FALSE(same(0, 2));
  const uint64_t pixels[] = {225 * 300, 480 * 300, 225 * 300, 360 * 280, 170 * 200};
  const auto clusters = ClusterDuplicates(found.pairs, pixels);
  ASSERT_EQ(clusters.size(), 1u);
  EXPECT_EQ(clusters[0].representative, 1u);
  EXPECT_EQ(clusters[0].members.size(), 3u);
  for (const DuplicateCluster::Member& member : clusters[0].members) {
    EXPECT_NEAR(member.evidence.query_coverage, 1, 0.05) << member.document;
    EXPECT_LT(member.evidence.document_coverage, 0.6) << member.document;
  }
}

TEST(ClustersTest, EveryMemberIsAPairWithItsRepresentative) {
  // A chain 0 - 1 - 2 - 3 - 4 of equal weights: the middle of what is left represents, and no end meets the other.
  std::vector<SamePair> pairs;
  for (uint64_t i = 0; i + 1 < 5; ++i) pairs.push_back({i, i + 1, 0.9f, {}});
  const std::vector<uint64_t> weights(5, 1);
  const auto clusters = ClusterDuplicates(pairs, weights);
  std::vector<int> seen(5, 0);
  for (const DuplicateCluster& cluster : clusters) {
    ++seen[cluster.representative];
    for (const auto& member : cluster.members) {
      ++seen[member.document];
      EXPECT_EQ(1, std::abs(static_cast<int>(member.document) - static_cast<int>(cluster.representative)));
    }
  }
  for (const int times : seen) EXPECT_LE(times, 1);
  EXPECT_TRUE(ClusterDuplicates({}, {}).empty());
}

TEST(ClustersTest, TheSamePicturesGiveTheSameClustersWhateverTheThreads) {
  std::vector<Pixels> pictures;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    pictures.push_back(Scene(seed));
    pictures.push_back(Recompressed(Crop(Scene(seed), 20, 20, 300, 240), 60));
  }
  const PictureList source(std::move(pictures));
  const auto finder = *DuplicateFinder::Make(source);
  const std::vector<uint64_t> weights(8, 1);
  std::string first;
  for (const size_t threads : {1, 3}) {
    FindPairsOptions options;
    options.threads = threads;
    std::string text;
    for (const auto& cluster : ClusterDuplicates(FindSamePairs(*finder, *TheVocabulary(), options).pairs, weights)) {
      text +=
          DuplicateClusterJson(cluster, [](uint64_t document) { return "\"document\":" + std::to_string(document); });
    }
    if (first.empty()) first = text;
    EXPECT_EQ(text, first);
  }
  EXPECT_FALSE(first.empty());
}

TEST(MirrorTest, KeypointsOfTheMirroredPictureAreThoseOfTheMirroredRows) {
  const Pixels scene = Scene(21);
  const LocalFeatures as_is = *ExtractLocal(scene), mirrored = *ExtractLocal(Mirror(scene));
  const LocalFeatures made = MirrorLocal(as_is, kLocalFrame);
  size_t near = 0;
  for (size_t i = 0; i < made.size(); ++i) {
    for (size_t j = 0; j < mirrored.size(); ++j) {
      const Keypoint &a = made.keypoints[i], &b = mirrored.keypoints[j];
      if (std::hypot(a.x - b.x, a.y - b.y) > 1 ||
          std::abs(std::remainder(a.angle - b.angle, 2 * std::numbers::pi)) > 0.1)
        continue;
      double product = 0;
      for (size_t k = 0; k < kLocalDescriptorSize; ++k)
        product += double{1} * made.descriptor(i)[k] * mirrored.descriptor(j)[k];
      if (product / (512.0 * 512) > 0.95) {
        ++near;
        break;
      }
    }
  }
  EXPECT_GT(static_cast<double>(near), 0.75 * static_cast<double>(made.size()));
}

TEST(SameScoreTest, KeypointsAloneAreNotEnough) {
  // Two garments on one carpet, as they were measured, and the same figures with pixels that agree.
  DuplicateEvidence evidence;
  evidence.hash_distance = 112;
  evidence.pairs = 200;
  evidence.inliers = 161;
  evidence.spread = 0.768f;
  evidence.matched = 0.433f;
  evidence.query_coverage = 0.9f;
  evidence.document_coverage = 0.8f;
  evidence.pixels.agreeing = 0.318f;
  evidence.pixels.toned = 0.487f;
  evidence.pixels.shown = 0.46f;
  evidence.pixels.lost = 0.409f;
  evidence.pixels.blocks = 59;
  EXPECT_LT(SameScore(evidence), kSameScore);
  evidence.pixels.agreeing = 0.95f;
  evidence.pixels.toned = 1;
  evidence.pixels.shown = 0.9f;
  evidence.pixels.lost = 0;
  EXPECT_GT(SameScore(evidence), kSameScore);
  evidence.pixels.recolored = 0.5f;  // an article dyed
  EXPECT_LT(SameScore(evidence), kSameScore);
  evidence.pixels.recolored = 0;
  evidence.pixels.displaced = 1;  // a second photograph, from a little beside
  EXPECT_LT(SameScore(evidence), kSameScore);
  evidence.pixels.displaced = 0;
  evidence.query_coverage = evidence.document_coverage = 0.12f;  // one floor below two pairs of shoes
  EXPECT_LT(SameScore(evidence), kSameScore);
  evidence.document_coverage = 0.3f;  // a crop to that
  EXPECT_GT(SameScore(evidence), kSameScore);
  evidence.pixels.blocks = 0;
  EXPECT_EQ(SameScore(evidence), 0);
}

TEST(TransformOfTest, LaysTheQueryAsTheHashSays) {
  const Pixels scene = Scene(31, 120, 200, 60);
  const PdqTransform transform = *PdqTransform::Of(scene);
  const int w = 120, h = 200;
  // Each form as pixels: where a pixel of the result comes from.
  const auto forms = std::vector<std::pair<Dihedral, Pixels>>{
      {Dihedral::kRotate90,
       Remap(scene, 200, 120,
             [&](uint32_t x, uint32_t y) { return std::pair(w - 1 - static_cast<int>(y), static_cast<int>(x)); })},
      {Dihedral::kRotate180, Remap(scene, 120, 200,
                                   [&](uint32_t x, uint32_t y) {
                                     return std::pair(w - 1 - static_cast<int>(x), h - 1 - static_cast<int>(y));
                                   })},
      {Dihedral::kRotate270,
       Remap(scene, 200, 120,
             [&](uint32_t x, uint32_t y) { return std::pair(static_cast<int>(y), h - 1 - static_cast<int>(x)); })},
      {Dihedral::kFlipRows,
       Remap(scene, 120, 200,
             [&](uint32_t x, uint32_t y) { return std::pair(static_cast<int>(x), h - 1 - static_cast<int>(y)); })},
      {Dihedral::kFlipColumns, Mirror(scene)},
      {Dihedral::kTranspose,
       Remap(scene, 200, 120,
             [&](uint32_t x, uint32_t y) { return std::pair(static_cast<int>(y), static_cast<int>(x)); })},
      {Dihedral::kAntiTranspose, Remap(scene, 200, 120, [&](uint32_t x, uint32_t y) {
         return std::pair(w - 1 - static_cast<int>(y), h - 1 - static_cast<int>(x));
       })}};
  const Thumbnail query = *Thumbnail::Of(scene);
  for (const auto& [form, pixels] : forms) {
    SCOPED_TRACE(static_cast<int>(form));
    EXPECT_LE(PdqDistance(transform.Hash(form), PdqTransform::Of(pixels)->Hash()), 40u);
    const Thumbnail document = *Thumbnail::Of(pixels);
    const PixelAgreement agreement = ComparePixels(query, document, TransformOf(form, query.frame(), document.frame()));
    EXPECT_GT(agreement.correlation, 0.99f);
    EXPECT_GT(agreement.agreeing, 0.97f);
  }
}

TEST(ComparePixelsTest, MovesToWherePixelsAgreeAndKnowsWhenTheyDoNot) {
  const Thumbnail scene = *Thumbnail::Of(Scene(41)), other = *Thumbnail::Of(Scene(42));
  const PixelAgreement moved = ComparePixels(scene, scene, {1.01f, 0, 4, 0.01f, 1, -5});
  EXPECT_GT(moved.correlation, 0.99f);
  EXPECT_NEAR(moved.transform.left, 0, 1);
  EXPECT_NEAR(moved.transform.top, 0, 1);
  EXPECT_GT(moved.toned, 0.99f);
  EXPECT_LT(ComparePixels(scene, other, {}).agreeing, 0.3f);
  EXPECT_EQ(ComparePixels(scene, other, {1, 0, 5000, 0, 1, 0}).blocks, 0u);  // they do not overlap
  EXPECT_EQ(ComparePixels(scene, other, {1, 1, 0, 1, 1, 0}).blocks, 0u);     // no way back
  const Thumbnail tiny = *Thumbnail::Of(Flat(1, 1, 3));
  EXPECT_EQ(ComparePixels(tiny, scene, {}).blocks, 0u);
}

TEST(ComparePixelsTest, AChangeOfTonesIsUndoneOnlyAsFarAsItCanBe) {
  const Pixels scene = Scene(43);
  const Thumbnail document = *Thumbnail::Of(scene);
  for (const double factor : {0.5, 0.7, 1.4, 1.7}) {
    SCOPED_TRACE(factor);
    const Thumbnail query = *Thumbnail::Of(Brightened(scene, factor));
    const PixelAgreement changed = ComparePixels(query, document, {}), back = ComparePixels(document, query, {});
    for (const PixelAgreement& agreement : {changed, back}) {
      EXPECT_GT(agreement.toned, 0.95f);
      EXPECT_GT(agreement.shown, 0.85f);
      EXPECT_LT(agreement.lost, 0.05f);
      EXPECT_LT(agreement.recolored, 0.05f);
    }
  }
}

TEST(ComparePixelsTest, WhatIsWrittenHidesLittleAndAnotherPictureAll) {
  const Pixels scene = Scene(44);
  const Thumbnail document = *Thumbnail::Of(scene);
  const PixelAgreement written = ComparePixels(*Thumbnail::Of(WrittenUpon(scene)), document, {});
  EXPECT_GT(written.shown, 0.6f);
  EXPECT_LT(written.lost, 0.2f);
  const PixelAgreement other = ComparePixels(*Thumbnail::Of(Scene(45)), document, {});
  EXPECT_LT(other.shown, 0.3f);
  EXPECT_GT(other.lost, 0.5f);
}

TEST(ComparePixelsTest, ADyedPartIsToldFromACastOverAll) {
  const Pixels scene = Scene(46);
  const Thumbnail document = *Thumbnail::Of(scene);
  EXPECT_GT(ComparePixels(*Thumbnail::Of(Dyed(scene, 0, 120)), document, {}).recolored, 0.15f);
  Pixels cast = scene;
  for (size_t i = 2; i < cast.rgb.size(); i += 3) cast.rgb[i] = static_cast<uint8_t>(std::min(255, cast.rgb[i] + 12));
  EXPECT_LT(ComparePixels(*Thumbnail::Of(cast), document, {}).recolored, 0.1f);
}

TEST(ComparePixelsTest, ACopysPartsLieRightAndThoseOfASecondShotBeside) {
  for (const uint64_t seed : {47u, 48u, 49u}) {
    SCOPED_TRACE(seed);
    const Pixels scene = Scene(seed, 720, 560);
    const Thumbnail document = *Thumbnail::Of(scene);
    const auto displaced = [&](const Pixels& query, const Affine& transform) {
      return ComparePixels(*Thumbnail::Of(query), document, transform).displaced;
    };
    EXPECT_LT(displaced(scene, {}), 0.01f);
    EXPECT_LT(displaced(WrittenUpon(scene), {}), 0.1f);
    EXPECT_LT(displaced(Brightened(scene, 1.2), {}), 0.1f);
    // A crop that is laid a little off is moved there first.
    EXPECT_LT(displaced(Crop(scene, 180, 140, 360, 280), {0.5f, 0, 128 + 3, 0, 0.5f, 99.5f - 2}), 0.2f);
    EXPECT_GT(displaced(FromBeside(scene, 10), {}), 0.3f);
  }
}

TEST(MeasureDisplacementTest, WhatOneMapOfAllExplainsIsNoDisplacement) {
  constexpr size_t kSide = 64;
  const auto luma = [](double x, double y) {
    return static_cast<float>(128 + 40 * std::sin(0.7 * x + 0.3 * y) + 40 * std::cos(0.6 * y - 0.3 * x));
  };
  // `move`: by how much the second one's place differs.
  const auto measure = [&](auto move) {
    LumaGrid grid{kSide, kSide, {}, {}};
    for (size_t i = 0; i < kSide * kSide; ++i) {
      const auto x = static_cast<double>(i % kSide), y = static_cast<double>(i / kSide);
      const auto [dx, dy] = move(x, y);
      grid.first.push_back(luma(x, y));
      grid.second.push_back(luma(x + dx, y + dy));
    }
    return grid;
  };
  using Move = std::pair<double, double>;
  const LumaGrid affine =
      measure([](double x, double y) { return Move(0.3 + 0.005 * x - 0.004 * y, -0.2 + 0.006 * y); });
  EXPECT_GT(MeasureDisplacement(affine).blocks, 50u);
  EXPECT_LT(MeasureDisplacement(affine).median, 0.05f);
  // Neighbouring blocks half a sample to either side.
  LumaGrid torn = measure([](double x, double) { return Move(static_cast<int>(x / 8) % 2 == 0 ? 0.5 : -0.5, 0); });
  EXPECT_NEAR(MeasureDisplacement(torn).median, 0.5f, 0.1f);
  std::ranges::fill(torn.second, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(MeasureDisplacement(torn).blocks, 0u);
  EXPECT_EQ(
      MeasureDisplacement({kSide, kSide, std::vector<float>(kSide * kSide, 9), std::vector<float>(kSide * kSide, 9)})
          .blocks,
      0u);
  EXPECT_EQ(MeasureDisplacement({2, 2, std::vector<float>(4), std::vector<float>(4)}).blocks, 0u);
}

TEST(WordListsTest, FindsTheDocumentWithTheSameKeypoints) {
  Random random(51);
  WordLists lists;
  std::vector<std::vector<LocalFeature>> documents(30);
  for (uint32_t d = 0; d < documents.size(); ++d) {
    for (int i = 0; i < 50; ++i) {
      documents[d].push_back({static_cast<uint32_t>(random.Below(500)), random(), static_cast<float>(i), 1, 1, 0});
    }
    lists.Add(d, documents[d]);
  }
  lists.Finish();
  for (uint32_t d = 0; d < documents.size(); ++d) {
    const auto found = lists.Find(VerifyQuery(documents[d], {}), 5);
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found[0].document, d);
    EXPECT_LE(found.size(), 5u);
  }
  // The token indexes of two shards say the same.
  const ScratchFolder folder;
  const auto cache = std::make_shared<TokenCache>(1 << 20);
  std::vector<std::shared_ptr<const TokenIndex>> indexes;
  for (uint32_t first : {0, 12}) {
    const auto path = folder.path() / std::to_string(first);
    const auto writer = *TokenWriter::Create(path, LocalFeatureKey(*TheVocabulary()));
    for (uint32_t d = first; d < (first == 0 ? 12 : documents.size()); ++d) {
      ASSERT_TRUE(writer->Add(PackLocals(documents[d])).ok());
    }
    ASSERT_TRUE(writer->Seal().ok());
    indexes.push_back(*TokenIndex::Open(path, cache));
  }
  const TokenWords tokens({{indexes[0].get(), 0}, {nullptr, 0}, {indexes[1].get(), 12}});
  for (uint32_t d = 0; d < documents.size(); ++d) {
    const auto found = tokens.Find(VerifyQuery(documents[d], {}), 3);
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found[0].document, d);
  }
  const LocalFeature unknown{100'000, 0, 0, 0, 1, 0};
  EXPECT_TRUE(lists.Find(VerifyQuery({&unknown, 1}, {}), 5).empty());
}

}  // namespace
}  // namespace likeness
