// What the root promises beyond a merge: copies become one hit and cost no place, a nearer hit is never less probable,
// words that nobody supports are dropped, and none of it depends on how the collection is cut.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/random.h"
#include "index/metadata.h"
#include "index/segment_writer.h"
#include "kernel/dot.h"
#include "rank/collapse.h"
#include "rank/conformity.h"
#include "rank/floor.h"
#include "rank/root.h"
#include "rank/signals.h"
#include "rank/topic.h"
#include "rank/weights.h"

namespace likeness {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr uint32_t kBits = 256, kDimension = 32;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const FeatureKey kFeature{"deep.test", "1"};

Signature SignatureOf(int i) { return Signature::Of(AsBytes("ranking " + std::to_string(i))); }

DeepCode CodeOf(std::span<const float> vector) {
  DeepCode code{std::vector<uint64_t>(kBits / 64), std::vector<int8_t>(kDimension), 0};
  static const std::vector<double> planes = [] {
    Random random(9);
    std::vector<double> normals(size_t{kBits} * kDimension);
    for (double& x : normals) x = random.Normal();
    return normals;
  }();
  for (uint32_t bit = 0; bit < kBits; ++bit) {
    double sum = 0;
    for (size_t i = 0; i < kDimension; ++i) sum += planes[bit * kDimension + i] * vector[i];
    code.code[bit / 64] |= static_cast<uint64_t>(sum > 0) << (bit % 64);
  }
  float largest = 1e-6f;
  for (const float x : vector) largest = std::max(largest, std::abs(x));
  for (size_t i = 0; i < kDimension; ++i) code.vector[i] = static_cast<int8_t>(std::lround(127 * vector[i] / largest));
  code.norm = std::sqrt(static_cast<float>(SquaredNormInt8(code.vector)));
  return code;
}

struct Document {
  Signature signature;
  DeepCode code;
  std::vector<std::string> words;
};

// `groups` clusters of `each` documents; within one, documents after the first are copies of it when `copies`.
std::vector<Document> Clusters(int groups, int each, bool copies, uint64_t seed) {
  Random random(seed);
  std::vector<Document> documents;
  for (int g = 0; g < groups; ++g) {
    std::vector<float> center(kDimension);
    for (float& x : center) x = static_cast<float>(random.Normal());
    for (int i = 0; i < each; ++i) {
      std::vector<float> vector = center;
      if (!copies) {
        for (float& x : vector) x += 0.5f * static_cast<float>(random.Normal());
      }
      documents.push_back({SignatureOf(g * each + i), CodeOf(vector), {"group" + std::to_string(g), "thing"}});
    }
  }
  return documents;
}

struct Sealed {
  std::shared_ptr<const Segment> segment, metadata;
};

std::shared_ptr<const Segment> OpenBytes(std::vector<std::byte> sealed) {
  const auto bytes = std::make_shared<const std::vector<std::byte>>(std::move(sealed));
  return *Segment::Open(*bytes, bytes);
}

Sealed Seal(std::vector<Document> documents) {
  std::ranges::sort(documents, {}, &Document::signature);
  SegmentWriter writer = *SegmentWriter::Create({{kFeature, {kBits, kDimension}}});
  std::vector<DocumentFacts> facts;
  for (const Document& one : documents) {
    EXPECT_TRUE(writer.Add({one.signature, 10, 20, {{kFeature, one.code}}, {}}).ok());
    std::vector<std::string> words = one.words;
    std::ranges::sort(words);
    facts.push_back({one.signature, words, 1});
  }
  return {OpenBytes(writer.Seal()), OpenBytes(*SealMetadata(facts))};
}

Snapshot SnapshotOf(const std::vector<Document>& documents, size_t parts, bool metadata = true) {
  std::vector<std::vector<Document>> cut(parts);
  for (size_t i = 0; i < documents.size(); ++i) cut[i % parts].push_back(documents[i]);
  std::vector<std::shared_ptr<const Segment>> segments, facts;
  for (const auto& part : cut) {
    Sealed sealed = Seal(part);
    segments.push_back(sealed.segment);
    facts.push_back(metadata ? sealed.metadata : nullptr);
  }
  return Snapshot("test", segments, facts);
}

VisualQuery QueryFor(const DeepCode& code, size_t k) {
  VisualQuery query;
  query.feature = kFeature;
  query.code = code;
  query.k = k;
  return query;
}

std::shared_ptr<const FloorModel> ModelOf(FloorInputs weights, double threshold = 0.5) {
  FloorModel::Parameters parameters;
  parameters.feature = kFeature.type;
  parameters.weights = weights;
  parameters.centers = {0.5, 0.5, 0.5, 0.5, 1, 3};
  parameters.threshold = threshold;
  return std::make_shared<const FloorModel>(*FloorModel::Create(parameters));
}

Hit HitWith(int i, float cosine, std::vector<std::string> words = {}) {
  Hit hit;
  hit.signature = SignatureOf(i);
  hit.score.value = cosine;
  hit.evidence.code_bits = kBits;
  hit.evidence.cosine.value = cosine;
  for (const std::string& word : words) hit.traits.words.push_back({AnnotationWord(word), 3});
  std::ranges::sort(hit.traits.words, {}, &Annotation::word);
  return hit;
}

TEST(Collapse, CopiesBecomeOneHitAndCostNoPlace) {
  const std::vector<Document> documents = Clusters(30, 40, true, 1);
  const Snapshot snapshot = SnapshotOf(documents, 3);
  RootOptions options;
  options.collapse = RootOptions::Collapse{};
  const RootAnswer answer = *SearchRoot(snapshot, QueryFor(documents[0].code, 24), {}, 1, options);
  ASSERT_THAT(answer.hits, SizeIs(24)) << "each of 30 pictures is there 40 times";
  std::map<std::vector<uint64_t>, int> seen;
  for (const Hit& hit : answer.hits) EXPECT_EQ(++seen[hit.traits.code], 1);
  EXPECT_THAT(answer.hits[0].duplicates, SizeIs(39));
  EXPECT_GT(answer.left_out.collapsed, 0u);
  const RootAnswer plain = *SearchRoot(snapshot, QueryFor(documents[0].code, 24), {}, 1);
  EXPECT_EQ(plain.hits.back().evidence.distance.bits, 0u) << "without, one picture fills the page";
}

TEST(Collapse, DoesNotChain) {
  std::vector<Hit> hits = {HitWith(1, 0.9f), HitWith(2, 0.8f), HitWith(3, 0.7f)};
  for (size_t i = 0; i < 3; ++i) {
    hits[i].traits.hash = HitTraits::Hash{{(uint64_t{1} << (20 * i)) - 1, 0, 0, 0}, 90};
  }
  EXPECT_EQ(CollapseHits(hits), 1u) << "the first and the third are 40 bits apart";
  ASSERT_THAT(hits, SizeIs(2));
  ASSERT_THAT(hits[0].duplicates, SizeIs(1));
  EXPECT_EQ(hits[0].duplicates[0].hash_distance->bits, 20u);
}

TEST(Collapse, AHashThatCannotBeTrustedSaysNothing) {
  std::vector<Hit> hits = {HitWith(1, 0.9f), HitWith(2, 0.8f), HitWith(3, 0.7f)};
  for (Hit& hit : hits) hit.traits.hash = HitTraits::Hash{{}, 49};
  EXPECT_EQ(CollapseHits(hits), 0u);
  for (size_t i = 0; i < 3; ++i) {
    hits[i].traits.hash->quality = 90;
    hits[i].traits.code.assign(4, i == 0 ? 0 : ~uint64_t{0});
  }
  EXPECT_EQ(CollapseHits(hits), 1u) << "codes that are nothing alike speak against the first two";
}

TEST(Root, AnswersTheSameHoweverTheCollectionIsCut) {
  const std::vector<Document> documents = Clusters(40, 6, false, 2);
  RootOptions options;
  options.collapse = RootOptions::Collapse{};
  options.floor_model = ModelOf({2, 1, 1, -1, 1, 0.5}, 0.4);
  options.floor = 0.4;
  options.conformity = 0.1;
  const float topic_weight = 0.5f;
  options.images = documents.size();
  const Snapshot one = SnapshotOf(documents, 1), four = SnapshotOf(documents, 4);
  for (int q = 0; q < 20; ++q) {
    // Words are weighed within a segment: with the same metadata files the answers are the same, so they are left out.
    RootOptions same = options;
    same.conformity.reset();
    VisualQuery query = QueryFor(documents[static_cast<size_t>(q) * 7].code, 10);
    const RootAnswer a = *SearchRoot(one, query, {}, 1, same), b = *SearchRoot(four, query, {}, 3, same);
    ASSERT_EQ(a.hits.size(), b.hits.size());
    for (size_t i = 0; i < a.hits.size(); ++i) {
      EXPECT_EQ(a.hits[i].signature, b.hits[i].signature);
      EXPECT_EQ(a.hits[i].score, b.hits[i].score);
      EXPECT_EQ(a.hits[i].evidence.probability, b.hits[i].evidence.probability) << "to the bit";
    }
    // Four leaves asked one by one, merged: the same as one leaf that has all of them.
    const auto apart = [&](const VisualQuery& asked) -> absl::StatusOr<LeafAnswer> {
      std::vector<LeafAnswer> answers;
      for (size_t s = 4; s-- > 0;) {
        const std::shared_ptr<const Segment> words(std::shared_ptr<const void>(), four.metadata(s));
        const Snapshot part("part", {four.segments()[s]}, {words});
        LIKENESS_ASSIGN_OR_RETURN(LeafAnswer answer, AnswerLeaf(part, asked, {}, 1));
        answers.push_back(std::move(answer));
      }
      return MergeAnswers(answers, asked.k);
    };
    query.weights[Signal::kTopic] = topic_weight;
    const RootAnswer c = *AnswerRoot(apart, query, options), d = *SearchRoot(four, query, {}, 1, options);
    ASSERT_EQ(c.hits.size(), d.hits.size());
    EXPECT_EQ(c.conformity, d.conformity);
    for (size_t i = 0; i < c.hits.size(); ++i) {
      EXPECT_EQ(c.hits[i].signature, d.hits[i].signature);
      EXPECT_EQ(c.hits[i].evidence.probability, d.hits[i].evidence.probability);
      EXPECT_EQ(c.hits[i].score, d.hits[i].score);
      EXPECT_EQ(c.hits[i].evidence.conformity, d.hits[i].evidence.conformity);
    }
  }
}

TEST(Floor, ANearerHitIsNeverLessProbable) {
  Random random(3);
  const auto model = ModelOf({3, 1, 2, -2, 1, 0.5});
  for (int round = 0; round < 200; ++round) {
    FloorInputs inputs;
    for (double& x : inputs) x = random.Unit() * 2 - 0.5;
    double before = -1;
    for (double cosine = -1; cosine <= 1; cosine += 0.01) {
      inputs[0] = cosine;
      const double p = model->Probability(inputs);
      ASSERT_GE(p, before);
      ASSERT_LE(p, 1);
      before = p;
    }
    inputs[0] = 1;
    EXPECT_EQ(model->Probability(inputs), 1) << "the same vector is the same picture";
  }
}

TEST(Floor, AHigherFloorKeepsFewerHitsAndTheSameOrder) {
  const std::vector<Document> documents = Clusters(40, 6, false, 4);
  const Snapshot snapshot = SnapshotOf(documents, 2);
  RootOptions options;
  options.floor_model = ModelOf({6, 0, 1, -1, 0, 0});
  std::vector<Hit> before;
  for (const double floor : {0.0, 0.2, 0.5, 0.8, 1.0}) {
    options.floor = floor;
    const RootAnswer answer = *SearchRoot(snapshot, QueryFor(documents[3].code, 30), {}, 1, options);
    if (floor > 0) {
      EXPECT_LE(answer.hits.size(), before.size());
    }
    for (size_t i = 0; i < answer.hits.size(); ++i) {
      EXPECT_GE(*answer.hits[i].evidence.probability, static_cast<float>(floor));
      if (floor > 0) {
        EXPECT_EQ(answer.hits[i].signature, before[i].signature);
      }
    }
    before = answer.hits;
  }
  ASSERT_THAT(before, SizeIs(1)) << "the picture itself stays";
  EXPECT_EQ(before[0].signature, documents[3].signature);
}

TEST(Floor, WhatIsNotKnownIsNeverNaN) {
  const auto model = ModelOf({1, 1, 1, 1, 1, 1});
  for (const size_t count : {0u, 1u, 2u}) {
    std::vector<Hit> hits;
    for (size_t i = 0; i < count; ++i) hits.push_back(HitWith(static_cast<int>(i), 0));
    SetProbabilities(*model, Background{}, hits);
    for (const Hit& hit : hits) EXPECT_TRUE(std::isfinite(*hit.evidence.probability));
  }
  EXPECT_TRUE(std::isfinite(model->Probability({kNan, kNan, kNan, kNan, kNan, kNan})));
  std::vector<Hit> by_color = {HitWith(1, 0)};
  by_color[0].evidence.code_bits = 0;
  SetProbabilities(*model, Background{}, by_color);
  EXPECT_FALSE(by_color[0].evidence.probability.has_value());
}

TEST(Floor, TheFileIsReadAsItWasWrittenAndNonsenseIsRefused) {
  const auto model = ModelOf({3, 0, 2, -2, 0, 0}, 0.25);
  const auto read = FloorModel::Parse(model->ToJson());
  ASSERT_TRUE(read.ok()) << read.status();
  const FloorInputs inputs = {0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
  EXPECT_EQ(read->Probability(inputs), model->Probability(inputs));
  EXPECT_EQ(read->threshold(), 0.25);
  for (const char* text :
       {"", "[]", "{}", R"({"format":"likeness.floor","format_version":1})",
        R"({"format":"likeness.floor","format_version":1,"feature":"x","bias":0,"threshold":2,"inputs":{}})",
        R"({"format":"likeness.floor","format_version":1,"feature":"x","bias":0,"threshold":0.5,
                               "inputs":{"luck":{"weight":1,"center":0}}})",
        R"({"format":"likeness.floor","format_version":1,"feature":"x","bias":0,"threshold":0.5,
                               "inputs":{"cosine":{"weight":-1,"center":0}}})"}) {
    EXPECT_EQ(FloorModel::Parse(text).status().code(), absl::StatusCode::kDataLoss) << text;
  }
  EXPECT_EQ(FloorModel::Parse(R"({"format":"likeness.floor","format_version":2})").status().code(),
            absl::StatusCode::kUnimplemented);
  ASSERT_NE(FloorModel::Default("deep.efficientnet_lite1"), nullptr);
  EXPECT_EQ(FloorModel::Default("deep.other"), nullptr);
}

std::optional<float> Conform(std::vector<Hit>& hits, double threshold) {
  const Conformity conformity = ConformityOf(hits, TopicsOf(hits));
  for (size_t i = 0; i < hits.size(); ++i) hits[i].evidence.conformity = conformity.hits[i];
  KeepConforming(conformity.answer, threshold, hits);
  return conformity.answer;
}

TEST(Conformity, DropsWhatNobodyElseIsDescribedLike) {
  std::vector<Hit> hits;
  for (int i = 0; i < 9; ++i) hits.push_back(HitWith(i, 0.9f - 0.01f * static_cast<float>(i), {"red", "shoe"}));
  hits[3] = HitWith(3, 0.87f, {"blue", "watch"});
  hits[5] = HitWith(5, 0.85f);
  std::vector<Hit> kept = hits;
  const auto conformity = Conform(kept, 0.7);
  ASSERT_TRUE(conformity.has_value());
  EXPECT_GT(*conformity, 0.8f);
  ASSERT_THAT(kept, SizeIs(7));
  for (const Hit& hit : kept) EXPECT_NE(hit.signature, hits[3].signature);
}

TEST(Conformity, AnAnswerAboutNothingInParticularGivesNothing) {
  std::vector<Hit> hits;
  for (int i = 0; i < 12; ++i) hits.push_back(HitWith(i, 0.9f, {"word" + std::to_string(i)}));
  EXPECT_LT(*Conform(hits, 0.7), 0.65f);
  EXPECT_THAT(hits, IsEmpty());
}

TEST(Conformity, TheSameWordsCountForLessWhereNothingIsNear) {
  std::vector<Hit> near, far;
  for (int i = 0; i < 12; ++i) {
    near.push_back(HitWith(i, 0.9f, {"shoe"}));
    far.push_back(HitWith(i, 0.3f, {"shoe"}));
  }
  EXPECT_GT(*Conform(near, 0), *Conform(far, 0) + 0.2f);
}

// Hits of two looks, ten of each by turns; the code says which.
std::vector<Hit> TwoLooks() {
  std::vector<Hit> hits;
  for (int i = 0; i < 20; ++i) {
    hits.push_back(HitWith(i, 0.9f - 0.01f * static_cast<float>(i), {i % 2 == 0 ? "boot" : "watch"}));
    hits.back().traits.code.assign(kBits / 64, i % 2 == 0 ? 0 : ~uint64_t{0});
  }
  return hits;
}

TEST(Topics, APictureWithoutWordsHasTheTopicOfWhatLooksLikeIt) {
  std::vector<Hit> hits = TwoLooks();
  hits[18].traits.words.clear();  // It looks like a boot, as the nearest hit does,
  hits[19].traits.words.clear();  // and this like a watch.
  const Topics topics = TopicsOf(hits);
  ASSERT_TRUE(topics.hits[18].has_value() && topics.hits[19].has_value());
  EXPECT_GT(*topics.hits[18], *topics.hits[19] + 0.1f);
  hits[19].traits.code.clear();
  EXPECT_FALSE(TopicsOf(hits).hits[19].has_value()) << "neither words nor looks";
}

TEST(Topics, AreWithinTheirRangeAndAskForThreeSpeakers) {
  std::vector<Hit> hits = TwoLooks();
  const Topics topics = TopicsOf(hits);
  ASSERT_TRUE(topics.agreement.has_value());
  EXPECT_GT(*topics.agreement, 0.5f);
  EXPECT_LT(*topics.agreement, 0.9f) << "the answer is about two things";
  for (const auto& one : topics.hits) EXPECT_TRUE(one && *one >= 0 && *one <= 1);
  for (size_t i = 2; i < hits.size(); ++i) hits[i].traits.words.clear();
  EXPECT_FALSE(TopicsOf(hits).agreement.has_value());
  EXPECT_THAT(TopicsOf({}).hits, IsEmpty());
}

TEST(Topics, AWeightPutsFirstWhatTheAnswerIsAbout) {
  std::vector<Document> documents = Clusters(3, 20, false, 8);
  documents[1].words = {"odd"};
  const Snapshot snapshot = SnapshotOf(documents, 2);
  VisualQuery query = QueryFor(documents[1].code, 10);
  EXPECT_EQ(SearchRoot(snapshot, query, {}, 1)->hits[0].signature, documents[1].signature);
  query.weights[Signal::kTopic] = 10;
  const RootAnswer answer = *SearchRoot(snapshot, query, {}, 1);
  EXPECT_NE(answer.hits[0].signature, documents[1].signature) << "nobody else is said to be odd";
  for (size_t i = 0; i < answer.hits.size(); ++i) {
    const SignalValues& s = answer.hits[i].evidence.signals;
    EXPECT_FLOAT_EQ(answer.hits[i].score.value, s[Signal::kVisual] + 10 * s[Signal::kTopic]);
    if (i > 0) {
      EXPECT_LE(answer.hits[i].score, answer.hits[i - 1].score);
    }
  }
}

TEST(Conformity, WithoutWordsNothingIsJudgedAndNothingIsDropped) {
  const std::vector<Document> documents = Clusters(10, 6, false, 5);
  const Snapshot bare = SnapshotOf(documents, 2, /*metadata=*/false);
  RootOptions options;
  options.conformity = 0.9;
  const RootAnswer answer = *SearchRoot(bare, QueryFor(documents[3].code, 12), {}, 1, options);
  EXPECT_THAT(answer.hits, SizeIs(12));
  EXPECT_FALSE(answer.conformity.has_value());
  for (const Hit& hit : answer.hits) EXPECT_FALSE(hit.evidence.conformity.has_value());
  std::vector<Hit> none;
  EXPECT_EQ(Conform(none, 0.5), std::nullopt);
}

TEST(Conformity, AStricterThresholdKeepsASubset) {
  const std::vector<Document> documents = Clusters(10, 12, false, 6);
  const Snapshot snapshot = SnapshotOf(documents, 1);
  RootOptions options;
  size_t before = 1000;
  for (const double threshold : {0.0, 0.2, 0.5, 0.8, 1.0}) {
    options.conformity = threshold;
    const size_t now = SearchRoot(snapshot, QueryFor(documents[5].code, 40), {}, 1, options)->hits.size();
    EXPECT_LE(now, before);
    before = now;
  }
}

TEST(Signals, WordsAndPinsMoveAHitOnlyWhereTheyHaveAWeight) {
  std::vector<Document> documents = Clusters(5, 8, false, 7);
  documents[6].words = {"rare", "thing"};
  const Snapshot snapshot = SnapshotOf(documents, 1);
  VisualQuery query = QueryFor(documents[0].code, 40);
  query.words = {{AnnotationWord("rare"), 1}};
  const RootAnswer plain = *SearchRoot(snapshot, query, {}, 1);
  for (const Hit& hit : plain.hits) {
    EXPECT_EQ(hit.score.value, hit.evidence.cosine.value);
    EXPECT_FALSE(hit.evidence.signals.has(Signal::kAnnotation));
    EXPECT_FALSE(hit.evidence.signals.has(Signal::kTopic));
  }
  query.weights[Signal::kAnnotation] = 3;
  query.weights[Signal::kEngagement] = 0.1f;
  EXPECT_FALSE(SearchRoot(SnapshotOf(documents, 1, /*metadata=*/false), query, {}, 1)
                   ->hits[0]
                   .evidence.signals.has(Signal::kTopic));
  const RootAnswer weighed = *SearchRoot(snapshot, query, {}, 1);
  EXPECT_EQ(weighed.hits[0].signature, documents[6].signature);
  for (const Hit& hit : weighed.hits) {
    const SignalValues& s = hit.evidence.signals;
    EXPECT_FLOAT_EQ(hit.score.value, s[Signal::kVisual] + 3 * s[Signal::kAnnotation] + 0.1f * s[Signal::kEngagement]);
  }
  query.weights.values = {};
  const RootAnswer nothing = *SearchRoot(snapshot, query, {}, 1);
  ASSERT_THAT(nothing.hits, SizeIs(40));
  for (size_t i = 1; i < nothing.hits.size(); ++i) {
    EXPECT_EQ(nothing.hits[i].score.value, 0);
    EXPECT_LT(nothing.hits[i - 1].signature, nothing.hits[i].signature) << "ties go by signature";
  }
  query.weights[Signal::kVisual] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(SearchRoot(snapshot, query, {}, 1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Weights, AreReadAsTheyWereWrittenAndAnUnknownSignalIsRefused) {
  SignalWeights weights;
  weights[Signal::kColor] = 0.25f;
  EXPECT_EQ(*ParseWeights(FormatWeights(weights)), weights);
  const auto refused =
      ParseWeights(R"({"format":"likeness.ranker","format_version":1,"weights":{"visual":1,"luck":2}})");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("luck"));
  for (const char* text : {"", "{}", R"({"format":"likeness.ranker","format_version":1,"weights":{"visual":"x"}})",
                           R"({"format":"likeness.ranker","format_version":1,"weights":{"visual":1e300}})"}) {
    EXPECT_EQ(ParseWeights(text).status().code(), absl::StatusCode::kDataLoss) << text;
  }
}

}  // namespace
}  // namespace likeness
