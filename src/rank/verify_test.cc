#include "rank/verify.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/random.h"

namespace likeness {
namespace {

constexpr float kTurn = static_cast<float>(2 * std::numbers::pi);

std::vector<LocalFeature> RandomFeatures(Random& random, size_t count, FrameSize frame) {
  std::vector<LocalFeature> features(count);
  for (LocalFeature& f : features) {
    f.word = static_cast<uint32_t>(random.Below(10'000));
    f.signature = random();
    f.x = static_cast<float>(random.Unit()) * frame.width;
    f.y = static_cast<float>(random.Unit()) * frame.height;
    f.sigma = static_cast<float>(1 + 6 * random.Unit());
    f.angle = static_cast<float>(random.Unit()) * kTurn;
  }
  return features;
}

// Rows by word, as they are kept.
std::vector<LocalFeature> Kept(std::vector<LocalFeature> features) { return *UnpackLocals(PackLocals(features)); }

// Those of `features` that a picture shows which `t` makes of the first; noise in place, scale, angle and signature.
std::vector<LocalFeature> Moved(Random& random, const std::vector<LocalFeature>& features, const Affine& t,
                                FrameSize frame, int flipped_bits = 6) {
  const float scale = std::sqrt(std::abs(t.determinant())), turn = std::atan2(t.c - t.b, t.a + t.d);
  std::vector<LocalFeature> moved;
  for (LocalFeature f : features) {
    const Point p = t({f.x, f.y});
    f.x = p.x + static_cast<float>(random.Normal() * 0.7);
    f.y = p.y + static_cast<float>(random.Normal() * 0.7);
    if (!(f.x > 0 && f.y > 0 && f.x < frame.width && f.y < frame.height)) continue;
    f.sigma *= scale * static_cast<float>(std::exp(random.Normal() * 0.05));
    f.angle = std::fmod(f.angle + turn + static_cast<float>(random.Normal() * 0.05) + 2 * kTurn, kTurn);
    for (int i = 0; i < flipped_bits; ++i) f.signature ^= uint64_t{1} << random.Below(64);
    moved.push_back(f);
  }
  return moved;
}

float FarthestCorner(const Affine& a, const Affine& b, FrameSize frame) {
  float most = 0;
  for (const Point p : {Point{0, 0}, Point{frame.width, 0}, Point{0, frame.height}, Point{frame.width, frame.height}}) {
    most = std::max(most, std::hypot(a(p).x - b(p).x, a(p).y - b(p).y));
  }
  return most;
}

TEST(VerifyTest, FindsHowOnePictureLiesUponAnother) {
  Random random(20260101);
  const FrameSize frame = FrameOf(800, 600);
  const std::vector<LocalFeature> query = RandomFeatures(random, 400, frame);
  const struct {
    const char* name;
    Affine t;
  } cases[] = {{"same", {}},
               {"turned", {0.8f, -0.6f, 200, 0.6f, 0.8f, -60}},
               {"smaller", {0.4f, 0, 30, 0, 0.4f, 60}},
               {"crop", {2, 0, -250, 0, 2, -200}},
               {"proportions", {1.33f, 0, -80, 0, 1, 0}},
               {"upside down", {-1, 0, 512, 0, -1, 384}}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    std::vector<LocalFeature> document = Moved(random, query, c.t, frame);
    const size_t right = document.size();
    const std::vector<LocalFeature> clutter = RandomFeatures(random, 200, frame);
    document.insert(document.end(), clutter.begin(), clutter.end());
    const Verification found = Verify(VerifyQuery(query, frame), Kept(document), frame);
    EXPECT_GE(static_cast<double>(found.inliers), 0.85 * static_cast<double>(right));
    EXPECT_LT(FarthestCorner(found.transform, c.t, frame), 6.0f);
    EXPECT_EQ(found.matches.size(), found.inliers);
    EXPECT_GT(found.spread, 0.6f);
    EXPECT_NEAR(found.document_coverage, AreaOf(Overlap(frame, c.t, frame)) / (frame.width * frame.height), 0.03);
  }
}

TEST(VerifyTest, AMirroredQueryIsToldInCoordinatesOfThePictureAsItIs) {
  Random random(5);
  const FrameSize frame = FrameOf(400, 600);
  const std::vector<LocalFeature> document = RandomFeatures(random, 300, frame);
  // The query is the document mirrored; its mirrored rows are therefore those of the document.
  const Verification found = Verify(VerifyQuery(document, frame, /*mirrored=*/true), Kept(document), frame);
  EXPECT_GE(found.inliers, 270u);
  EXPECT_LT(found.transform.determinant(), 0);
  EXPECT_LT(FarthestCorner(found.transform, {-1, 0, frame.width, 0, 1, 0}, frame), 2.0f);
  EXPECT_NEAR(found.query_coverage, 1, 0.02);
}

TEST(VerifyTest, PicturesWithNothingInCommonHaveNoInliersToSpeakOf) {
  Random random(7);
  for (int i = 0; i < 20; ++i) {
    const FrameSize frame = FrameOf(512, 512);
    std::vector<LocalFeature> query = RandomFeatures(random, 500, frame);
    std::vector<LocalFeature> document = RandomFeatures(random, 500, frame);
    // Many equal words and near signatures, at places that have nothing to do with each other.
    for (size_t j = 0; j < 60; ++j) document[j].word = query[j].word, document[j].signature = query[j].signature;
    EXPECT_LE(Verify(VerifyQuery(query, frame), Kept(document), frame).inliers, 6u);
  }
}

TEST(VerifyTest, TheSameRowsGiveTheSameAnswerInWhateverOrderTheQueryHasThem) {
  Random random(11);
  const FrameSize frame = FrameOf(640, 480);
  std::vector<LocalFeature> query = RandomFeatures(random, 300, frame);
  const std::vector<LocalFeature> document = Kept(Moved(random, query, {0.5f, 0.2f, 20, -0.2f, 0.5f, 150}, frame));
  const Verification first = Verify(VerifyQuery(query, frame), document, frame);
  const Verification second = Verify(VerifyQuery(query, frame), document, frame);
  EXPECT_EQ(first.transform, second.transform);
  std::ranges::reverse(query);
  const Verification third = Verify(VerifyQuery(query, frame), document, frame);
  EXPECT_NEAR(static_cast<double>(third.inliers), static_cast<double>(first.inliers), 3);
  EXPECT_LT(FarthestCorner(first.transform, third.transform, frame), 1.0f);
}

TEST(VerifyTest, HostileRowsEndInAnAnswer) {
  Random random(13);
  const FrameSize frame = FrameOf(500, 500);
  EXPECT_EQ(Verify(VerifyQuery(), {}, frame).inliers, 0u);
  const std::vector<LocalFeature> some = RandomFeatures(random, 50, frame);
  EXPECT_EQ(Verify(VerifyQuery(some, frame), {}, frame).inliers, 0u);
  EXPECT_EQ(Verify(VerifyQuery({}, frame), some, frame).inliers, 0u);

  // All in one point, one word: one place, which proves nothing.
  const std::vector<LocalFeature> one(512, LocalFeature{7, 42, 100, 100, 2, 1});
  EXPECT_EQ(Verify(VerifyQuery(one, frame), one, frame).inliers, 0u);

  // On a line: a scale and a shift can be told, no more; nothing becomes infinite.
  std::vector<LocalFeature> line;
  for (uint32_t i = 0; i < 100; ++i) line.push_back({i, i, 10 + 4 * static_cast<float>(i), 50, 2, 0});
  const Verification found = Verify(VerifyQuery(line, frame), line, frame);
  EXPECT_GE(found.inliers, 90u);
  EXPECT_LT(FarthestCorner(found.transform, {}, frame), 3.0f);
  EXPECT_LT(found.spread, 0.01f);

  // One word for everything, and rows in no order.
  std::vector<LocalFeature> burst = RandomFeatures(random, 512, frame);
  for (LocalFeature& f : burst) f.word = 3, f.signature = 9;
  EXPECT_LE(Verify(VerifyQuery(burst, frame), burst, frame).pairs, VerifyOptions().most_pairs);
  std::vector<LocalFeature> unsorted = some;
  std::ranges::reverse(unsorted);
  EXPECT_GE(Verify(VerifyQuery(some, frame), unsorted, frame).inliers, 45u);

  // What a damaged file may hold at its ends.
  std::vector<LocalFeature> ends = some;
  for (LocalFeature& f : ends) f.sigma = 0, f.x = 0;
  const Verification odd = Verify(VerifyQuery(ends, frame), some, frame);
  EXPECT_TRUE(std::isfinite(odd.transform.left));
}

TEST(OverlapTest, IsThePartThatBothShow) {
  const FrameSize frame{100, 50};
  EXPECT_NEAR(AreaOf(Overlap(frame, {}, frame)), 5000, 1);
  EXPECT_NEAR(AreaOf(Overlap(frame, {1, 0, 50, 0, 1, 25}, frame)), 1250, 1);
  EXPECT_TRUE(Overlap(frame, {1, 0, 200, 0, 1, 0}, frame).empty());
  EXPECT_NEAR(AreaOf(Overlap(frame, {4, 0, -100, 0, 4, -50}, frame)), 5000, 1);
}

TEST(AffineTest, InverseAndCompositionAreEachOthersTest) {
  const Affine t{1.2f, 0.3f, 10, -0.4f, 0.9f, -7};
  const Affine unit = t.Inverse()->After(t);
  EXPECT_LT(FarthestCorner(unit, {}, {512, 512}), 0.01f);
  EXPECT_FALSE((Affine{1, 1, 0, 1, 1, 0}).Inverse());
}

}  // namespace
}  // namespace likeness
