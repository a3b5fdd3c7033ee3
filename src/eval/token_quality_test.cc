// The measurement of a token index: pictures find themselves by the keypoints of their middle, and the figures are
// those of the files.
#include "eval/token_quality.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/bytes.h"
#include "index/segment_writer.h"
#include "index/token_test_data.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

const FeatureKey kDeep{"deep.test", "0123456789ab"};

std::shared_ptr<const Segment> SegmentOf(size_t documents) {
  SegmentWriter writer = *SegmentWriter::Create({{kDeep, {64, 1}}});
  for (size_t i = 0; i < documents; ++i) {
    Fingerprint one{{}, 400, 400, {}, {}};
    one.signature.bytes[0] = std::byte(i >> 8);
    one.signature.bytes[1] = std::byte(i);
    one.deep.push_back({kDeep, DeepCode{{i}, {1}, 1}});
    LIKENESS_CHECK(writer.Add(one).ok());
  }
  const auto bytes = std::make_shared<const std::vector<std::byte>>(writer.Seal());
  return *Segment::Open(*bytes, bytes);
}

TEST(TokenQuality, PicturesFindThemselvesByTheirMiddle) {
  Random random(20261123);
  const std::vector<TokenDocument> documents = MakeTokenDocuments(random, 200, 150, 2000);
  const ScratchFolder folder;
  const std::filesystem::path path = folder.path() / "tokens";
  ASSERT_EQ(WriteTokens(path, documents), absl::OkStatus());
  const auto tokens = *TokenIndex::Open(path, std::make_shared<TokenCache>(1 << 20));
  const auto segment = SegmentOf(documents.size());
  std::vector<std::vector<std::byte>> rows;
  for (const TokenDocument& document : documents) rows.push_back(PackLocals(document));
  const KeypointRows read = [&](Snapshot::Place place) {
    // Behind a segment without a token index.
    EXPECT_EQ(place.segment, 1u);
    return std::span<const std::byte>(rows[place.doc.value()]);
  };
  const Snapshot snapshot("r1", {segment, segment}, {}, {nullptr, tokens});
  const auto quality = MeasureTokens(snapshot, read, {.queries = 50});
  ASSERT_TRUE(quality.ok() && quality->has_value()) << quality.status();
  EXPECT_EQ((*quality)->images, 200u);
  EXPECT_EQ((*quality)->keypoints, tokens->postings());
  EXPECT_NEAR((*quality)->bytes * 200, static_cast<double>(tokens->file_bytes()), 1);
  EXPECT_LE((*quality)->queries, 50u);
  EXPECT_GT((*quality)->queries, 20u);
  EXPECT_GT((*quality)->found, 0.8);
  EXPECT_GT((*quality)->p50_ms, 0);
  EXPECT_GE((*quality)->p99_ms, (*quality)->p50_ms);

  // Keypoints of other pictures do not find it.
  const KeypointRows wrong = [&](Snapshot::Place place) {
    return std::span<const std::byte>(rows[(place.doc.value() + 1) % rows.size()]);
  };
  EXPECT_LT((*MeasureTokens(snapshot, wrong, {.queries = 50}))->found, 0.1);

  const auto without = MeasureTokens(Snapshot("r1", {segment}), read, {});
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_FALSE(without->has_value());
}

}  // namespace
}  // namespace likeness
