// The measurement of an index: exact is exact, a graph's recall is below 1 at most, and a setting is chosen.
#include "eval/index_quality.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"
#include "index/segment_writer.h"

namespace likeness {
namespace {

std::vector<std::byte> SegmentOf(const FeatureKey& key, size_t documents, uint64_t seed) {
  Random random(seed);
  std::vector<Fingerprint> prints(documents);
  std::vector<uint64_t> centers(4 * 20);
  for (uint64_t& word : centers) word = random();
  for (Fingerprint& print : prints) {
    for (std::byte& byte : print.signature.bytes) byte = std::byte(random());
    const size_t center = random.Below(20);
    DeepCode code{{}, {1}, 1.0f};
    for (size_t w = 0; w < 4; ++w) code.code.push_back(centers[4 * center + w] ^ (random() & random() & random()));
    print.deep.push_back({key, std::move(code)});
  }
  std::ranges::sort(prints, {}, &Fingerprint::signature);
  SegmentWriter writer = *SegmentWriter::Create({{key, {256, 1}}});
  writer.set_indexing({.graph_least_bytes = 0, .threads = 1});
  for (const Fingerprint& print : prints) LIKENESS_CHECK(writer.Add(print).ok());
  return writer.Seal();
}

TEST(IndexQuality, MeasuresOverSegmentsAndChooses) {
  const FeatureKey key = FeatureKey::Of("deep.a", "1");
  const std::vector<std::vector<std::byte>> files{SegmentOf(key, 9000, 1), SegmentOf(key, 500, 2)};
  std::vector<std::shared_ptr<const Segment>> segments;
  for (const auto& file : files) segments.push_back(*Segment::Open(file));
  const Snapshot snapshot("r1", segments);
  size_t told = 0;
  const auto quality = MeasureIndex(snapshot, {.feature = key, .queries = 20, .k = 10, .recall = 0.9, .threads = 1},
                                    [&](const IndexTrial&) { ++told; });
  ASSERT_TRUE(quality.ok()) << quality.status();
  EXPECT_EQ(quality->images, 9500u);
  EXPECT_EQ(quality->segments, 2u);
  EXPECT_EQ(quality->graphs, 2u);
  EXPECT_EQ(quality->queries, 20u);
  EXPECT_EQ(told, quality->trials.size());
  ASSERT_FALSE(quality->trials.empty());
  EXPECT_EQ(quality->trials[0].kind, "exact");
  EXPECT_EQ(quality->trials[0].recall, 1.0);
  EXPECT_EQ(quality->trials[0].compared, 9500.0);
  for (const IndexTrial& trial : quality->trials) EXPECT_LE(trial.recall, 1.0);
  ASSERT_TRUE(quality->chosen.has_value());
  EXPECT_NE(quality->trials[*quality->chosen].kind, "trees");
  EXPECT_GE(quality->trials[*quality->chosen].recall, 0.9);

  EXPECT_TRUE(absl::IsInvalidArgument(MeasureIndex(snapshot, {.feature = key, .k = 0}).status()));
  EXPECT_TRUE(absl::IsNotFound(MeasureIndex(snapshot, {.feature = FeatureKey::Of("deep.b", "1")}).status()));
}

}  // namespace
}  // namespace likeness
