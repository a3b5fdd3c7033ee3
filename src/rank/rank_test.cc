// What ranking promises: the leaf finds what a brute-force comparison finds, the root merges leaves as if they were
// one, and an answer says how much of the collection it stands for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "feature/color_query.h"
#include "index/segment_writer.h"
#include "index/snapshot.h"
#include "kernel/dot.h"
#include "kernel/half.h"
#include "rank/root.h"

namespace likeness {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr uint32_t kBits = 128, kDimension = 48;
const FeatureKey kFeature{"deep.test", "1"};

Signature SignatureOf(int i) { return Signature::Of(AsBytes(std::to_string(i))); }

// A code whose bits are the signs of a vector's first components, so that near vectors have near codes.
DeepCode RandomCode(Random& random) {
  DeepCode code{std::vector<uint64_t>(kBits / 64), std::vector<int8_t>(kDimension), 0};
  for (int8_t& value : code.vector) value = static_cast<int8_t>(static_cast<int>(random.Below(255)) - 127);
  for (uint32_t bit = 0; bit < kBits; ++bit) {
    code.code[bit / 64] |= static_cast<uint64_t>(code.vector[bit % kDimension] > 0) << (bit % 64);
  }
  code.norm = std::sqrt(static_cast<float>(SquaredNormInt8(code.vector)));
  return code;
}

struct Document {
  Signature signature;
  DeepCode code;
};

std::shared_ptr<const Segment> MakeSegment(std::vector<Document> documents) {
  std::ranges::sort(documents, {}, &Document::signature);
  SegmentWriter writer = *SegmentWriter::Create({{kFeature, {kBits, kDimension}}});
  for (const Document& document : documents) {
    EXPECT_TRUE(writer.Add({document.signature, 10, 20, {{kFeature, document.code}}}).ok());
  }
  const auto bytes = std::make_shared<const std::vector<std::byte>>(writer.Seal());
  return *Segment::Open(*bytes, bytes);
}

std::vector<Document> RandomDocuments(int count, uint64_t seed) {
  Random random(seed);
  std::vector<Document> documents;
  for (int i = 0; i < count; ++i) documents.push_back({SignatureOf(i), RandomCode(random)});
  return documents;
}

VisualQuery QueryFor(const DeepCode& code, size_t k) {
  VisualQuery query;
  query.feature = kFeature;
  query.code = code;
  query.k = k;
  return query;
}

Hit HitOf(int i, float score) { return {SignatureOf(i), 1, 1, {score}, {kFeature, {0}, kBits, {score}}}; }

const FeatureKey kPlain{"color", "1"};
const Lab kRed{50, 60, 40};

// A signature of two colors: the share of red, in 255ths, and a green that is nothing like it.
std::string PaletteOf(int share) {
  std::vector<float> rows;
  if (share > 0) rows.insert(rows.end(), {kRed.l, kRed.a, kRed.b, static_cast<float>(share)});
  if (share < 255) rows.insert(rows.end(), {50, -60, 40, static_cast<float>(255 - share)});
  std::vector<uint16_t> halves(rows.size());
  FloatToHalf(rows, halves);
  return std::string(reinterpret_cast<const char*>(halves.data()), 2 * halves.size());
}

// Documents whose plain feature is a share of red; each fifth has none.
std::shared_ptr<const Segment> MakePlainSegment(std::vector<Document> documents) {
  std::ranges::sort(documents, {}, &Document::signature);
  SegmentWriter writer = *SegmentWriter::Create({{kFeature, {kBits, kDimension}}}, {{kPlain, {8, true}}});
  for (size_t i = 0; i < documents.size(); ++i) {
    Fingerprint one{documents[i].signature, 10, 20, {{kFeature, documents[i].code}}, {}};
    if (i % 5 != 4) one.plain.push_back({kPlain, PaletteOf(static_cast<int>(i * 37 % 256))});
    EXPECT_TRUE(writer.Add(one).ok());
  }
  const auto bytes = std::make_shared<const std::vector<std::byte>>(writer.Seal());
  return *Segment::Open(*bytes, bytes);
}

PlainWish WishFor(float weight) { return ColorWishOf(kPlain, kRed.l, kRed.a, kRed.b, weight); }

float MatchOf(const Segment& segment, uint32_t doc) {
  const PlainColumn& column = *segment.plain(kPlain);
  return column.has(DocId(doc)) ? ColorQuery{kRed}.Match(*ParseColorValue(column.value(DocId(doc)))) : 0;
}

TEST(Wish, BlendsWithTheLookAsAFullComparisonDoes) {
  const std::vector<Document> documents = RandomDocuments(400, 3);
  const auto segment = MakePlainSegment(documents);
  for (const float weight : {0.0f, 0.3f, 1.0f}) {
    VisualQuery query = QueryFor(documents[7].code, 50);
    query.wish = WishFor(weight);
    SearchStats stats;
    const std::vector<Hit> hits = *SearchLeaf(*segment, query, nullptr, stats);
    ASSERT_THAT(hits, SizeIs(50));
    std::vector<float> expected;
    for (uint32_t doc = 0; doc < segment->doc_count(); ++doc) {
      const DeepColumn& column = *segment->deep(kFeature);
      const float cosine = static_cast<float>(DotInt8(query.code.vector, column.vector(DocId(doc))) /
                                              (static_cast<double>(query.code.norm) * column.norm(DocId(doc))));
      expected.push_back((1 - weight) * cosine + weight * MatchOf(*segment, doc));
    }
    std::ranges::sort(expected, std::greater());
    for (size_t i = 0; i < hits.size(); ++i) {
      EXPECT_NEAR(hits[i].score.value, expected[i], 1e-5) << weight << " " << i;
      EXPECT_EQ(hits[i].evidence.plain->match, MatchOf(*segment, segment->Find(hits[i].signature)->value()));
    }
  }
}

TEST(Wish, AloneLooksAtEveryDocumentThatHasTheFeature) {
  const auto segment = MakePlainSegment(RandomDocuments(3000, 4));
  VisualQuery query;
  query.k = 20;
  query.wish = WishFor(0.5f);
  DocSet odd(segment->doc_count());
  for (uint32_t doc = 1; doc < segment->doc_count(); doc += 2) odd.Set(DocId(doc));
  for (const DocSet* allowed : {static_cast<const DocSet*>(nullptr), static_cast<const DocSet*>(&odd)}) {
    std::vector<float> expected;
    for (uint32_t doc = 0; doc < segment->doc_count(); ++doc) {
      if (allowed == nullptr || allowed->Test(DocId(doc))) expected.push_back(MatchOf(*segment, doc));
    }
    std::ranges::sort(expected, std::greater());
    SearchStats stats;
    const std::vector<Hit> hits = *SearchLeaf(*segment, query, allowed, stats);
    EXPECT_TRUE(stats.complete());
    ASSERT_THAT(hits, SizeIs(20));
    for (size_t i = 0; i < hits.size(); ++i) EXPECT_EQ(hits[i].score.value, expected[i]);
  }
}

TEST(Wish, ASegmentWithoutTheFeatureHasNoHitsForItAlone) {
  const std::vector<Document> documents = RandomDocuments(30, 5);
  const auto segment = MakeSegment(documents);
  VisualQuery query;
  query.wish = WishFor(0.5f);
  SearchStats stats;
  EXPECT_THAT(*SearchLeaf(*segment, query, nullptr, stats), IsEmpty());
  EXPECT_TRUE(stats.complete());
  query = QueryFor(documents[0].code, 5);
  query.wish = WishFor(0.5f);
  EXPECT_EQ(SearchLeaf(*segment, query, nullptr, stats)->front().evidence.plain->match, 0);
}

TEST(Leaf, FindsWhatComparingEveryVectorFinds) {
  const std::vector<Document> documents = RandomDocuments(300, 1);
  const auto segment = MakeSegment(documents);
  for (int q = 0; q < 20; ++q) {
    const DeepCode& asked = documents[q].code;
    std::vector<std::pair<double, Signature>> expected;
    for (const Document& document : documents) {
      expected.emplace_back(
          -DotInt8(asked.vector, document.code.vector) / (static_cast<double>(asked.norm) * document.code.norm),
          document.signature);
    }
    std::ranges::sort(expected);
    SearchStats stats;
    const auto hits = SearchLeaf(*segment, QueryFor(asked, 10), nullptr, stats);
    ASSERT_THAT(*hits, SizeIs(10));
    EXPECT_EQ(hits->front().signature, documents[q].signature) << "a picture finds itself";
    EXPECT_EQ(hits->front().evidence.distance.bits, 0u);
    for (size_t i = 0; i < 10; ++i) {
      EXPECT_EQ((*hits)[i].signature, expected[i].second);
      EXPECT_NEAR((*hits)[i].score.value, -expected[i].first, 1e-6);
    }
    EXPECT_EQ(stats.scanned, 300u);
  }
}

TEST(Leaf, LooksOnlyAtWhatIsAllowed) {
  const std::vector<Document> documents = RandomDocuments(100, 2);
  const auto segment = MakeSegment(documents);
  DocSet allowed(100);
  for (uint32_t doc = 0; doc < 100; doc += 10) allowed.Set(DocId(doc));
  SearchStats stats;
  const auto hits = SearchLeaf(*segment, QueryFor(documents[0].code, 50), &allowed, stats);
  EXPECT_THAT(*hits, SizeIs(10));
  for (const Hit& hit : *hits) EXPECT_TRUE(allowed.Test(*segment->Find(hit.signature)));
}

TEST(Leaf, RefusesAQueryOfAnotherLengthAndKnowsNothingOfOtherFeatures) {
  const auto segment = MakeSegment(RandomDocuments(3, 3));
  Random random(1);
  SearchStats stats;
  VisualQuery query = QueryFor(RandomCode(random), 5);
  query.code.vector.pop_back();
  EXPECT_EQ(SearchLeaf(*segment, query, nullptr, stats).status().code(), absl::StatusCode::kInvalidArgument);
  query = QueryFor(RandomCode(random), 5);
  query.code.code.pop_back();
  EXPECT_EQ(SearchLeaf(*segment, query, nullptr, stats).status().code(), absl::StatusCode::kInvalidArgument);
  query = QueryFor(RandomCode(random), 5);
  query.feature.version = "2";
  EXPECT_THAT(*SearchLeaf(*segment, query, nullptr, stats), IsEmpty());
}

TEST(Leaf, AVectorOfZerosIsLikeNothing) {
  const auto segment = MakeSegment(RandomDocuments(5, 4));
  DeepCode zeros{std::vector<uint64_t>(kBits / 64), std::vector<int8_t>(kDimension), 0};
  SearchStats stats;
  const auto hits = SearchLeaf(*segment, QueryFor(zeros, 5), nullptr, stats);
  ASSERT_THAT(*hits, SizeIs(5));
  for (const Hit& hit : *hits) EXPECT_EQ(hit.score.value, 0);
}

TEST(Root, ManySegmentsAnswerAsOne) {
  const std::vector<Document> documents = RandomDocuments(200, 5);
  std::vector<std::vector<Document>> parts(4);
  for (size_t i = 0; i < documents.size(); ++i) parts[i % 4].push_back(documents[i]);
  std::vector<std::shared_ptr<const Segment>> segments;
  for (const auto& part : parts) segments.push_back(MakeSegment(part));
  const Snapshot many("many", segments), one("one", {MakeSegment(documents)});
  for (int q = 0; q < 10; ++q) {
    const RootAnswer a = *SearchRoot(many, QueryFor(documents[q].code, 20), {}, 3);
    const RootAnswer b = *SearchRoot(one, QueryFor(documents[q].code, 20), {}, 1);
    ASSERT_EQ(a.hits.size(), b.hits.size());
    for (size_t i = 0; i < a.hits.size(); ++i) {
      EXPECT_EQ(a.hits[i].signature, b.hits[i].signature);
      EXPECT_EQ(a.hits[i].score, b.hits[i].score);
    }
    EXPECT_EQ(a.coverage.searched, 200u);
    EXPECT_EQ(a.coverage.images, 200u);
  }
}

TEST(Root, SegmentsThatRefineTheirShareAnswerAsACollectionInOnePieceDoes) {
  const std::vector<Document> documents = RandomDocuments(8000, 6);
  std::vector<std::vector<Document>> parts(4);
  for (size_t i = 0; i < documents.size(); ++i) parts[i % 4].push_back(documents[i]);
  std::vector<std::shared_ptr<const Segment>> segments;
  for (const auto& part : parts) segments.push_back(MakeSegment(part));
  const Snapshot many("many", segments), one("one", {MakeSegment(documents)});
  RootOptions told;
  told.images = documents.size();
  int worse = 0, ranks = 0;
  for (int q = 0; q < 30; ++q) {
    VisualQuery query = QueryFor(documents[q].code, 100);
    query.refine_least = 0;
    const RootAnswer share = *SearchRoot(many, query, {}, 2, told);
    const RootAnswer whole = *SearchRoot(one, query, {}, 1, told);
    ASSERT_THAT(share.hits, SizeIs(100));
    ASSERT_THAT(whole.hits, SizeIs(100));
    for (size_t i = 0; i < 100; ++i, ++ranks) worse += share.hits[i].score < whole.hits[i].score ? 1 : 0;
  }
  EXPECT_LE(worse, ranks / 200);
}

TEST(Root, MergesBestFirstTiesBySignatureEachImageOnce) {
  std::vector<std::vector<Hit>> lists = {{HitOf(1, 0.9f), HitOf(2, 0.5f)}, {HitOf(3, 0.9f), HitOf(1, 0.9f)}, {}};
  const std::vector<Hit> merged = MergeHits(lists, 10);
  const auto signatures = [](const std::vector<Hit>& hits) {
    std::vector<Signature> all;
    for (const Hit& hit : hits) all.push_back(hit.signature);
    return all;
  };
  const Signature low = std::min(SignatureOf(1), SignatureOf(3)), high = std::max(SignatureOf(1), SignatureOf(3));
  EXPECT_THAT(signatures(merged), ElementsAre(low, high, SignatureOf(2)));
  lists = {{HitOf(1, 0.1f)}, {HitOf(2, 0.2f)}};
  EXPECT_THAT(signatures(MergeHits(lists, 1)), ElementsAre(SignatureOf(2)));
  EXPECT_THAT(MergeHits({}, 5), IsEmpty());
}

}  // namespace
}  // namespace likeness
