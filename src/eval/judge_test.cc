#include "eval/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

#include "base/random.h"

namespace likeness {
namespace {

using testing::ElementsAre;

const FeatureKey kKey = FeatureKey::Of("deep.test", "judge_test");

// Signatures that ascend with the row.
Signature SignatureOf(size_t row) {
  Signature signature;
  signature.bytes[0] = static_cast<std::byte>(row >> 8);
  signature.bytes[1] = static_cast<std::byte>(row);
  return signature;
}

LabelledSet SetOf(const std::vector<uint32_t>& labels) {
  LabelledSet set;
  set.labels.resize(*std::ranges::max_element(labels) + 1);
  for (size_t i = 0; i < set.labels.size(); ++i) set.labels[i] = std::string(1, static_cast<char>('a' + i));
  for (size_t i = 0; i < labels.size(); ++i) set.pictures.push_back({SignatureOf(i), std::to_string(i), labels[i]});
  return set;
}

struct Cloud {
  LabelledSet set;
  std::vector<float> values;
  size_t dimension;
};

// Classes around random centres, all far to one side of the origin as activations behind a ReLU are.
Cloud MakeCloud(uint64_t seed, size_t count, size_t classes, size_t dimension, double spread) {
  Random random(seed);
  std::vector<double> centres(classes * dimension);
  for (double& value : centres) value = random.Normal();
  std::vector<uint32_t> labels(count);
  std::vector<float> values;
  for (uint32_t& label : labels) {
    label = static_cast<uint32_t>(random.Below(classes));
    for (size_t d = 0; d < dimension; ++d) {
      values.push_back(static_cast<float>(3 + centres[label * dimension + d] + spread * random.Normal()));
    }
  }
  return {SetOf(labels), std::move(values), dimension};
}

using Rankings = std::vector<std::vector<uint32_t>>;

template <typename Rank>
Rankings Collect(size_t count, const Rank& rank) {
  Rankings rankings(count);
  rank([&](size_t query, std::span<const uint32_t> rows, std::span<const float> scores) {
    EXPECT_EQ(rows.size(), scores.size());
    EXPECT_TRUE(rankings[query].empty()) << "asked twice: " << query;
    rankings[query].assign(rows.begin(), rows.end());
  });
  return rankings;
}

TEST(UnitVectors, HaveLengthOneAndNoMean) {
  const std::vector<float> values = {3, 4, 0, 0, 5, 0};
  EXPECT_THAT(UnitVectors(values, 2, false), ElementsAre(0.6f, 0.8f, 0, 0, 1, 0));
  const std::vector<float> centred = UnitVectors({{1, 0, -1, 0}}, 2, true);
  EXPECT_THAT(centred, ElementsAre(1, 0, -1, 0));
}

// By hand: 0 and 1 point the same way, 2 is a right angle off, 3 opposite; equal scores by row.
TEST(RankByCosine, OrdersByScoreThenRowWithoutTheQuery) {
  const std::vector<float> unit = {1, 0, 1, 0, 0, 1, -1, 0};
  const Rankings rankings = Collect(4, [&](const RankingSink& sink) { RankByCosine(unit, 2, 2, sink); });
  EXPECT_THAT(rankings[0], ElementsAre(1, 2, 3));
  EXPECT_THAT(rankings[1], ElementsAre(0, 2, 3));
  EXPECT_THAT(rankings[2], ElementsAre(0, 1, 3));
  EXPECT_THAT(rankings[3], ElementsAre(2, 0, 1));
}

// The twin: plain loops in double over all pairs.
TEST(RankByCosine, EqualsItsSlowTwinAndNeedsNoThreads) {
  const Cloud cloud = MakeCloud(21, 150, 4, 24, 1.0);
  const std::vector<float> unit = UnitVectors(cloud.values, cloud.dimension, false);
  const Rankings fast = Collect(150, [&](const RankingSink& sink) { RankByCosine(unit, 24, 2, sink); });
  EXPECT_EQ(fast, Collect(150, [&](const RankingSink& sink) { RankByCosine(unit, 24, 1, sink); }));
  for (size_t query = 0; query < 150; ++query) {
    const auto score = [&](uint32_t row) {
      double sum = 0;
      for (size_t d = 0; d < 24; ++d) sum += double{unit[query * 24 + d]} * unit[row * 24 + d];
      return sum;
    };
    ASSERT_EQ(fast[query].size(), 149u);
    for (size_t i = 1; i < fast[query].size(); ++i) {
      ASSERT_GE(score(fast[query][i - 1]) + 1e-6, score(fast[query][i])) << "seed 21, query " << query;
    }
  }
}

CodedSet Coded(const Cloud& cloud, size_t bits) {
  const Binarizer binarizer = Binarizer::Train(cloud.values, cloud.dimension, bits, 1);
  std::vector<DeepCode> codes;
  std::vector<Signature> signatures;
  for (size_t i = 0; i < cloud.set.pictures.size(); ++i) {
    codes.push_back(binarizer.Encode(std::span(cloud.values).subspan(i * cloud.dimension, cloud.dimension)));
    signatures.push_back(cloud.set.pictures[i].signature);
  }
  return *CodedSet::Create(kKey, signatures, std::move(codes), bits);
}

// The ranking that is judged begins with what a search answers, word for word.
TEST(CodedSet, RankingBeginsWithTheAnswerOfASearch) {
  const Cloud cloud = MakeCloud(33, 700, 5, 48, 1.5);
  const CodedSet coded = Coded(cloud, 128);
  EXPECT_EQ(coded.refined(), 400u);
  const Rankings rankings =
      Collect(700, [&](const RankingSink& sink) { EXPECT_TRUE(coded.RankBySearch(2, sink).ok()); });
  for (const size_t query : {0u, 17u, 350u, 699u}) {
    SearchStats stats;
    DocSet others = DocSet::All(700);
    others.Clear(DocId(static_cast<uint32_t>(query)));
    const auto hits = SearchLeaf(coded.segment(), coded.Query(coded.code(query)), &others, stats);
    ASSERT_TRUE(hits.ok());
    ASSERT_EQ(hits->size(), 24u);
    for (size_t i = 0; i < hits->size(); ++i) {
      EXPECT_EQ((*hits)[i].signature, SignatureOf(rankings[query][i])) << "seed 33, query " << query << ", rank " << i;
    }
  }
}

TEST(CodedSet, RankingHoldsEveryOtherPictureOnceAndGoesOnByCode) {
  const Cloud cloud = MakeCloud(34, 600, 5, 48, 1.5);
  const CodedSet coded = Coded(cloud, 64);
  const Rankings search = Collect(600, [&](const RankingSink& sink) { EXPECT_TRUE(coded.RankBySearch(2, sink).ok()); });
  const Rankings codes = Collect(600, [&](const RankingSink& sink) { coded.RankByCode(2, sink); });
  for (size_t query = 0; query < 600; query += 37) {
    std::vector<uint32_t> sorted = search[query];
    std::ranges::sort(sorted);
    std::vector<uint32_t> others(600);
    std::iota(others.begin(), others.end(), 0u);
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(query));
    ASSERT_EQ(sorted, others);
    // The candidates are the nearest codes, and behind them nothing moved.
    const auto cut = static_cast<std::ptrdiff_t>(coded.refined());
    std::vector<uint32_t> refined(search[query].begin(), search[query].begin() + cut);
    std::vector<uint32_t> nearest(codes[query].begin(), codes[query].begin() + cut);
    std::ranges::sort(refined);
    std::ranges::sort(nearest);
    EXPECT_EQ(refined, nearest);
    EXPECT_TRUE(std::equal(search[query].begin() + cut, search[query].end(), codes[query].begin() + cut));
  }
}

// Three of a, two of b, one of c. By hand over an order that is fixed.
TEST(Relevance, JudgesEveryQueryThatHasAnAnswer) {
  const LabelledSet set = SetOf({0, 1, 0, 2, 1, 0});
  const Relevance relevance(set);
  EXPECT_THAT(relevance.queries(), ElementsAre(0, 1, 2, 4, 5));
  std::vector<Relevance::First> first;
  const auto scores = relevance.Judge(
      [&](const RankingSink& sink) {
        for (size_t query = 0; query < 6; ++query) {
          std::vector<uint32_t> rows;
          for (uint32_t row = 0; row < 6; ++row) {
            if (row != query) rows.push_back(row);
          }
          sink(query, rows, std::vector<float>(5, 0.5f));
        }
        return absl::OkStatus();
      },
      &first);
  ASSERT_TRUE(scores.ok());
  // Query 0 sees b a c b a: relevant at 2 and 5. Query 1: a a c b a, relevant at 4.
  EXPECT_THAT(scores->p_at_1, ElementsAre(0, 0, 1, 0, 1));
  EXPECT_DOUBLE_EQ(scores->p_at_5[0], 0.4);
  EXPECT_DOUBLE_EQ(scores->p_at_10[0], 0.2);
  EXPECT_DOUBLE_EQ(scores->ap[0], (0.5 + 0.4) / 2);
  EXPECT_DOUBLE_EQ(scores->ap[1], 0.25);
  EXPECT_DOUBLE_EQ(scores->precision[0], 2);
  EXPECT_THAT(first[0].rows, ElementsAre(1, 2, 3, 4, 5));
}

TEST(Relevance, PassesTheErrorOfTheRankingOn) {
  const Relevance relevance(SetOf({0, 0}));
  const auto scores = relevance.Judge([](const RankingSink&) { return absl::InternalError("no"); });
  EXPECT_EQ(scores.status().code(), absl::StatusCode::kInternal);
}

RelevanceOptions Options(std::vector<size_t> bits) {
  RelevanceOptions options;
  options.code_bits = std::move(bits);
  options.bootstrap.resamples = 50;
  options.threads = 2;
  return options;
}

absl::StatusOr<Judgement> JudgeCloud(const Cloud& cloud, std::vector<size_t> bits) {
  return JudgeVectors(cloud.set, Relevance(cloud.set), kKey, cloud.values, cloud.dimension, Options(std::move(bits)),
                      [](std::string_view) {});
}

TEST(JudgeVectors, FindsNothingWrongWithClassesFarApart) {
  const auto judgement = JudgeCloud(MakeCloud(41, 300, 4, 64, 0.05), {256});
  ASSERT_TRUE(judgement.ok());
  const ModelReport& report = judgement->report;
  EXPECT_DOUBLE_EQ(report.plain.map.value, 1);
  EXPECT_DOUBLE_EQ(report.centred.map.value, 1);
  EXPECT_DOUBLE_EQ(report.binary().search.map.value, 1);
  EXPECT_DOUBLE_EQ(report.binary().search_loss.map.value, 0);
  EXPECT_EQ(report.plain.p_at_1.interval, (Interval{1, 1}));
  uint32_t diagonal = 0;
  for (size_t i = 0; i < 4; ++i) diagonal += report.confusion[i * 4 + i];
  EXPECT_EQ(diagonal, 300u);
}

// Of vectors that know nothing of the labels, precision is the share of the others that is relevant.
TEST(JudgeVectors, FindsChanceInNoise) {
  Cloud cloud = MakeCloud(42, 600, 3, 32, 1);
  Random random(43);
  for (float& value : cloud.values) value = static_cast<float>(random.Normal());
  const auto judgement = JudgeCloud(cloud, {256});
  ASSERT_TRUE(judgement.ok());
  EXPECT_NEAR(judgement->report.plain.p_at_10.value, 1.0 / 3, 0.03) << "seeds 42, 43";
  EXPECT_NEAR(judgement->report.plain.map.value, 1.0 / 3, 0.03) << "seeds 42, 43";
}

// Lengths are sorted, rounded up to words and made unique; the longest is `binary`, and longer codes order better.
TEST(JudgeVectors, JudgesEveryLengthOfCode) {
  const auto judgement = JudgeCloud(MakeCloud(44, 700, 6, 48, 2.5), {512, 64, 60, 0});
  ASSERT_TRUE(judgement.ok());
  const auto& codes = judgement->report.codes;
  ASSERT_EQ(codes.size(), 2u);
  EXPECT_EQ(codes[0].bits, 64u);
  EXPECT_EQ(codes[1].bits, 512u);
  EXPECT_EQ(&judgement->report.binary(), &codes[1]);
  EXPECT_GT(codes[1].hamming.map.value, codes[0].hamming.map.value) << "seed 44";
  EXPECT_GE(codes[0].search.p_at_1.value, codes[0].hamming.p_at_1.value) << "seed 44";
  for (const CodeReport& code : codes) {
    EXPECT_NEAR(code.search_loss.map.value, judgement->report.plain.map.value - code.search.map.value, 1e-9);
    EXPECT_LE(code.search_loss.map.interval.low, code.search_loss.map.value);
    EXPECT_GE(code.search_loss.map.interval.high, code.search_loss.map.value);
  }
}

TEST(JudgeVectors, ClassesAddUpToTheWhole) {
  const auto judgement = JudgeCloud(MakeCloud(45, 400, 5, 32, 2), {256});
  ASSERT_TRUE(judgement.ok());
  double p_at_1 = 0, map = 0;
  for (const ClassReport& one : judgement->report.classes) {
    p_at_1 += one.p_at_1 * static_cast<double>(one.queries) / 400;
    map += one.binary_map * static_cast<double>(one.queries) / 400;
  }
  EXPECT_NEAR(p_at_1, judgement->report.plain.p_at_1.value, 1e-9);
  EXPECT_NEAR(map, judgement->report.binary().search.map.value, 1e-9);
}

}  // namespace
}  // namespace likeness
