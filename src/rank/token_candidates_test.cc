// What the token index promises a leaf: a picture of which the query shows a part is found by its keypoints however far
// its code is, with the place as evidence; and who does not ask it pays nothing.
#include "rank/token_candidates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/bytes.h"
#include "index/segment_writer.h"
#include "index/token_test_data.h"
#include "rank/verify.h"

namespace likeness {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const FeatureKey kDeep{"deep.test", "0123456789ab"};
constexpr uint32_t kBits = 64, kDimension = 16, kWidth = 400, kHeight = 300;

DeepCode RandomCode(Random& random) {
  DeepCode code{{random()}, std::vector<int8_t>(kDimension), 0};
  double squares = 0;
  for (int8_t& value : code.vector) {
    value = static_cast<int8_t>(static_cast<int>(random.Below(255)) - 127);
    squares += value * value;
  }
  code.norm = static_cast<float>(std::sqrt(squares));
  return code;
}

class TokenCandidatesTest : public testing::Test {
 protected:
  void SetUp() override {
    const uint64_t seed = 20261123;
    RecordProperty("seed", std::to_string(seed));
    Random random(seed);
    documents_ = MakeTokenDocuments(random, 300, 60, 2000);
    while (documents_[asked_].size() < 40) ++asked_;
    const std::filesystem::path path =
        std::filesystem::path(testing::TempDir()) / ("token_candidates" + std::to_string(::getpid()));
    ASSERT_EQ(WriteTokens(path, documents_), absl::OkStatus());
    tokens_ = *TokenIndex::Open(path, std::make_shared<TokenCache>(1 << 20));
    std::filesystem::remove(path);

    SegmentWriter writer = *SegmentWriter::Create({{kDeep, {kBits, kDimension}}}, {});
    for (size_t i = 0; i < documents_.size(); ++i) {
      Fingerprint one{{}, kWidth, kHeight, {}, {}};
      one.signature.bytes[0] = std::byte(i >> 8);
      one.signature.bytes[1] = std::byte(i);
      one.deep.push_back({kDeep, RandomCode(random)});
      ASSERT_TRUE(writer.Add(one).ok());
    }
    bytes_ = writer.Seal();
    segment_ = *Segment::Open(bytes_);

    // The left half of the document, twice as large and a little off.
    TokenDocument part;
    for (LocalFeature feature : documents_[asked_]) {
      if (feature.x > 256) continue;
      feature.x *= 2;
      feature.y *= 2;
      feature.sigma *= 2;
      feature.signature ^= uint64_t{1} << random.Below(64);
      part.push_back(feature);
    }
    query_.feature = kDeep;
    query_.code = RandomCode(random);
    query_.k = 5;
    query_.refine_least = 5;
    query_.refine_factor = 1;
    query_.local = LocalValue{kTokenTestFeature, std::string(AsText(PackLocals(part))), 200, 300};
  }

  LeafSegment Leaf() const {
    LeafSegment leaf(*segment_);
    leaf.tokens = tokens_.get();
    return leaf;
  }
  std::vector<Hit> Search(const VisualQuery& query, const DocSet* allowed = nullptr) const {
    SearchStats stats;
    return *SearchLeaf(Leaf(), query, allowed, stats);
  }
  Signature Asked() const { return segment_->signature(DocId(static_cast<uint32_t>(asked_))); }

  std::vector<TokenDocument> documents_;
  size_t asked_ = 0;
  std::shared_ptr<const TokenIndex> tokens_;
  std::vector<std::byte> bytes_;
  std::shared_ptr<const Segment> segment_;
  VisualQuery query_;
};

TEST_F(TokenCandidatesTest, APartFindsItsPictureAndSaysWhere) {
  query_.weights[Signal::kTokens] = 2;
  const std::vector<Hit> hits = Search(query_);
  ASSERT_THAT(hits, SizeIs(5));
  EXPECT_EQ(hits[0].signature, Asked());
  const Evidence& evidence = hits[0].evidence;
  ASSERT_TRUE(evidence.tokens);
  EXPECT_GE(evidence.tokens->verified, 12u);
  EXPECT_GE(evidence.tokens->pairs, evidence.tokens->verified);
  EXPECT_FLOAT_EQ(evidence.signals[Signal::kTokens], TokenSignal(evidence.tokens->verified));
  // The query is 341 pixels of its frame wide and lies there at half the size: 171 of 512.
  float right = 0, bottom = 0;
  for (const auto& [x, y] : evidence.tokens->region) {
    EXPECT_TRUE(x >= 0 && x <= 1 && y >= 0 && y <= 1);
    right = std::max(right, x);
    bottom = std::max(bottom, y);
  }
  EXPECT_NEAR(right, 171.0 / 512, 0.05);
  EXPECT_NEAR(bottom, 256.0 / 384, 0.05);
  EXPECT_FLOAT_EQ(hits[0].score.value, query_.weights.Score(evidence.signals));
  EXPECT_TRUE(hits[1].evidence.signals.has(Signal::kTokens)) << "it was asked, and shares nothing";
  EXPECT_EQ(hits[1].evidence.signals[Signal::kTokens], 0);
}

TEST_F(TokenCandidatesTest, WhoDoesNotAskHasTheNearestAlone) {
  VisualQuery plain = query_;
  plain.local.reset();
  VisualQuery weightless = query_, foreign = query_, blank = query_;
  weightless.weights[Signal::kTokens] = 0;
  foreign.local->feature.version = "another";
  blank.local->rows.clear();
  for (const VisualQuery& query : {plain, weightless, foreign, blank}) {
    EXPECT_FALSE(AsksTokens(Leaf(), query));
    EXPECT_THAT(*FindByTokens(Leaf(), query, nullptr), IsEmpty());
    for (const Hit& hit : Search(query)) {
      EXPECT_FALSE(hit.evidence.tokens);
      EXPECT_FALSE(hit.evidence.signals.has(Signal::kTokens));
      EXPECT_NE(hit.signature, Asked());
    }
  }
  LeafSegment without(*segment_);
  EXPECT_FALSE(AsksTokens(without, query_));
}

TEST_F(TokenCandidatesTest, AFilterHidesWhatKeypointsFind) {
  DocSet allowed = DocSet::All(documents_.size());
  allowed.Clear(DocId(static_cast<uint32_t>(asked_)));
  for (const Hit& hit : Search(query_, &allowed)) EXPECT_NE(hit.signature, Asked());
}

TEST_F(TokenCandidatesTest, RowsThatAreNoneLeaveTheLook) {
  query_.local->rows.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(FindByTokens(Leaf(), query_, nullptr).status()));
  EXPECT_THAT(Search(query_), SizeIs(5));
}

TEST_F(TokenCandidatesTest, WhatChanceBringsSaysNothing) {
  EXPECT_EQ(TokenSignal(0), 0);
  EXPECT_EQ(TokenSignal(4), 0);
  EXPECT_FLOAT_EQ(TokenSignal(14), 0.5f);
  EXPECT_FLOAT_EQ(TokenSignal(34), 0.75f);
  float before = 0;
  for (uint32_t verified = 5; verified < 600; ++verified) {
    EXPECT_GT(TokenSignal(verified), before);
    before = TokenSignal(verified);
  }
  EXPECT_LT(before, 1);
}

TEST_F(TokenCandidatesTest, TheBestComeByRisingDocument) {
  query_.token_candidates = 300;
  const auto found = *FindByTokens(Leaf(), query_, nullptr);
  EXPECT_TRUE(std::ranges::is_sorted(found, {}, &TokenCandidate::doc));
  query_.token_candidates = 1;
  const auto best = *FindByTokens(Leaf(), query_, nullptr);
  ASSERT_THAT(best, SizeIs(1));
  EXPECT_EQ(best[0].doc.value(), asked_);
}

}  // namespace
}  // namespace likeness
