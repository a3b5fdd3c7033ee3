#include "rank/token_search.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <map>

#include "index/token_format.h"
#include "index/token_test_data.h"

namespace likeness {
namespace {

// The definition, from the documents in memory, pair by pair and in double precision.
std::map<uint32_t, double> SlowScores(std::span<const TokenDocument> documents, const TokenQuery& query) {
  std::map<uint32_t, size_t> having;
  for (const TokenDocument& document : documents) {
    std::map<uint32_t, bool> words;
    for (const LocalFeature& feature : document) words[feature.word] = true;
    for (const auto& [word, there] : words) ++having[word];
  }
  const auto weight = [&](uint32_t word) {
    const auto found = having.find(word);
    return double{TokenWeight(documents.size(), found == having.end() ? 0 : found->second)};
  };
  const auto square = [](double x) { return x * x; };
  struct Pair {
    size_t query, doc, at;
    double weight;
  };
  std::vector<Pair> pairs;
  std::map<size_t, double> sums;  // by query feature
  double query_squares = 0;
  for (size_t q = 0; q < query.features.size(); ++q) {
    const LocalFeature& asked = query.features[q];
    query_squares += square(weight(asked.word));
    for (size_t d = 0; d < documents.size(); ++d) {
      const size_t begin = pairs.size();
      double of_doc = 0;
      for (size_t i = 0; i < documents[d].size(); ++i) {
        const LocalFeature& feature = documents[d][i];
        const auto distance = static_cast<uint32_t>(std::popcount(feature.signature ^ asked.signature));
        if (feature.word != asked.word || distance > query.most_distance) continue;
        pairs.push_back({q, d, i, std::exp(-square(distance) / 256)});
        of_doc += pairs.back().weight;
      }
      sums[q] += of_doc;
      for (size_t i = begin; i < pairs.size(); ++i) pairs[i].weight *= std::sqrt(pairs[i].weight / of_doc);
    }
  }
  double mean = 0, matched = 0;
  for (const auto& [q, sum] : sums) {
    mean += sum;
    matched += sum > 0 ? 1 : 0;
  }
  mean /= std::max(matched, 1.0);
  std::map<uint32_t, double> scores;
  for (uint32_t d = 0; d < documents.size(); ++d) {
    std::map<int, double> turns, scales;
    double norm = 0;
    for (const LocalFeature& feature : documents[d]) norm += square(weight(feature.word));
    for (const Pair& pair : pairs) {
      if (pair.doc != d) continue;
      const LocalFeature &asked = query.features[pair.query], &feature = documents[d][pair.at];
      const double value = pair.weight * square(weight(asked.word)) * std::min(1.0, std::sqrt(mean / sums[pair.query]));
      std::array<std::byte, kLocalRowSize> a, b;
      PackLocal(asked, a);
      PackLocal(feature, b);
      const auto at = [](const auto& row, size_t i) { return std::to_integer<int>(row[i]); };
      turns[(((at(b, 17) & ~3) + 2 - at(a, 17)) & 255) / 16] += value;
      scales[((at(b, 16) & ~3) + 2 - at(a, 16) + 256) / 8] += value;
    }
    double turned = 0, scaled = 0;
    for (int i = 0; i < 16; ++i) turned = std::max(turned, turns[i] + turns[(i + 1) % 16]);
    for (int i = 0; i < 64; ++i) scaled = std::max(scaled, scales[i] + scales[i + 1]);
    if (turned == 0) continue;
    const double length = std::sqrt(query_squares);
    scores[d] = std::min(turned, scaled) / (length * std::max(std::sqrt(norm), length / 4));
  }
  return scores;
}

class TokenSearchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const uint64_t seed = 20261122;
    RecordProperty("seed", std::to_string(seed));
    Random random(seed);
    documents_ = MakeTokenDocuments(random, 500, 60, 40);
    path_ = std::filesystem::path(::testing::TempDir()) / ("tokens" + std::to_string(::getpid()));
    ASSERT_EQ(WriteTokens(path_, documents_), absl::OkStatus());
    auto opened = TokenIndex::Open(path_, std::make_shared<TokenCache>(1 << 20));
    ASSERT_TRUE(opened.ok()) << opened.status();
    index_ = *std::move(opened);
    while (documents_[asked_].size() < 40) ++asked_;
    altered_ = AlteredTokens(random, documents_[asked_], 1, 2);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::vector<TokenHit> Found(const TokenQuery& query) {
    auto hits = SearchTokens(*index_, query, stats_);
    EXPECT_TRUE(hits.ok()) << hits.status();
    return hits.ok() ? *std::move(hits) : std::vector<TokenHit>();
  }

  std::vector<TokenDocument> documents_;
  std::filesystem::path path_;
  std::shared_ptr<const TokenIndex> index_;
  size_t asked_ = 0;
  TokenDocument altered_;
  TokenStats stats_;
};

TEST_F(TokenSearchTest, ScoresAsTheDefinitionSays) {
  for (const uint32_t most_distance : {14u, 22u, 27u}) {
    for (const TokenDocument& features : {altered_, documents_[asked_], documents_[asked_ + 1]}) {
      const TokenQuery query{.features = features, .k = 1000, .most_distance = most_distance};
      const std::vector<TokenHit> hits = Found(query);
      const std::map<uint32_t, double> scores = SlowScores(documents_, query);
      EXPECT_EQ(hits.size(), scores.size());
      float before = 100;
      for (const TokenHit& hit : hits) {
        ASSERT_TRUE(scores.contains(hit.doc.value()));
        EXPECT_NEAR(hit.score, scores.at(hit.doc.value()), 1e-4) << hit.doc.value();
        EXPECT_LE(hit.score, before);
        before = hit.score;
      }
    }
  }
  EXPECT_TRUE(stats_.complete());
}

TEST_F(TokenSearchTest, FindsAnAlteredPictureFirstWithItsPairs) {
  const std::vector<TokenHit> hits = Found({.features = altered_, .k = 5});
  ASSERT_FALSE(hits.empty());
  EXPECT_EQ(hits[0].doc.value(), asked_);
  EXPECT_GT(hits[0].score, 0.2);
  ASSERT_GE(hits[0].matches.size(), altered_.size() / 2);
  for (const TokenMatch& match : hits[0].matches) {
    const LocalFeature& asked = altered_[match.query];
    EXPECT_EQ(match.document.word, asked.word);
    EXPECT_EQ(static_cast<uint32_t>(std::popcount(match.document.signature ^ asked.signature)), match.distance);
    EXPECT_LE(match.distance, 22);
    const auto found = std::ranges::find(documents_[asked_], match.document.signature, &LocalFeature::signature);
    ASSERT_NE(found, documents_[asked_].end());
    EXPECT_NEAR(found->x, match.document.x, 0.5);
    EXPECT_NEAR(found->y, match.document.y, 0.5);
    EXPECT_NEAR(std::log2(found->sigma), std::log2(match.document.sigma), 0.15);
  }
}

TEST_F(TokenSearchTest, AFilterHidesAndChangesNothingElse) {
  DocSet allowed = DocSet::All(documents_.size());
  const std::vector<TokenHit> all = Found({.features = altered_, .k = 1000});
  allowed.Clear(all[0].doc);
  allowed.Clear(all[3].doc);
  const std::vector<TokenHit> some = Found({.features = altered_, .k = 1000, .allowed = &allowed});
  ASSERT_EQ(some.size() + 2, all.size());
  EXPECT_EQ(some[0].doc, all[1].doc);
  EXPECT_EQ(some[0].score, all[1].score);
  EXPECT_EQ(some[2].doc, all[4].doc);
  const DocSet wrong(3);
  EXPECT_TRUE(
      absl::IsInvalidArgument(SearchTokens(*index_, {.features = altered_, .allowed = &wrong}, stats_).status()));
}

TEST_F(TokenSearchTest, OddQueriesHaveTheirAnswers) {
  EXPECT_TRUE(Found({.features = {}}).empty());
  EXPECT_TRUE(Found({.features = altered_, .k = 0}).empty());
  EXPECT_EQ(Found({.features = altered_, .k = 3}).size(), 3);
  const std::vector<TokenHit> many = Found({.features = altered_, .k = 1'000'000});
  EXPECT_GT(many.size(), 3);
  EXPECT_LE(many.size(), documents_.size());
  TokenDocument strange = altered_;
  for (LocalFeature& feature : strange) feature.word += 1u << 30;
  EXPECT_TRUE(Found({.features = strange}).empty());
  EXPECT_TRUE(
      absl::IsInvalidArgument(SearchTokens(*index_, {.features = altered_, .most_distance = 65}, stats_).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(SearchTokens(*index_, {.features = altered_, .most_common = 0}, stats_).status()));
}

TEST_F(TokenSearchTest, ADeadlineThatHasPassedGivesNothingAndSaysSo) {
  TokenStats stats;
  const auto hits =
      SearchTokens(*index_, {.features = altered_, .deadline = Deadline::After(std::chrono::seconds(0))}, stats);
  ASSERT_TRUE(hits.ok());
  EXPECT_TRUE(hits->empty());
  EXPECT_FALSE(stats.complete());
  EXPECT_EQ(stats.lists, altered_.size());
  EXPECT_EQ(stats.lists_read, 0);
}

TEST_F(TokenSearchTest, CommonWordsCanBePassedOver) {
  TokenStats stats;
  const auto hits = SearchTokens(*index_, {.features = altered_, .most_common = 0.3f}, stats);
  ASSERT_TRUE(hits.ok());
  EXPECT_GT(stats.lists_common, 0);
  EXPECT_GT(stats.lists_read, 0);
  EXPECT_TRUE(stats.complete());
  EXPECT_EQ(hits->front().doc.value(), asked_);
}

}  // namespace
}  // namespace likeness
