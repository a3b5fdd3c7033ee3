// The scan of a segment beside a plain sort, with filters, limits, missing features and deadlines; and the snapshot.
#include "index/nearest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

#include "index/segment.h"
#include "index/segment_test_data.h"
#include "index/snapshot.h"

namespace likeness {
namespace {

std::vector<Neighbor> PlainNearest(const DeepColumn& column, std::span<const uint64_t> query,
                                   const NearestOptions& options) {
  std::vector<Neighbor> all;
  for (uint32_t i = 0; i < column.doc_count; ++i) {
    const DocId doc(i);
    if (!column.has(doc) || (options.allowed != nullptr && !options.allowed->Test(doc))) continue;
    uint32_t bits = 0;
    for (size_t w = 0; w < query.size(); ++w)
      bits += static_cast<uint32_t>(std::popcount(query[w] ^ column.code(doc)[w]));
    if (!options.within || bits <= options.within->bits) all.push_back({Distance{bits}, doc});
  }
  std::sort(all.begin(), all.end());
  all.resize(std::min(all.size(), options.k));
  return all;
}

TEST(NearestCodes, IsTheSortedListCutOff) {
  SCOPED_TRACE("LIKENESS_TEST_SEED=" + std::to_string(TestSeed()));
  Random random(TestSeed());
  const TestShard shard(900, TestSeed());
  const std::vector<std::byte> file = shard.Seal();
  const auto segment = *Segment::Open(file);
  for (int round = 0; round < 60; ++round) {
    const SegmentWriter::Deep& feature = shard.features[round % 2];
    const DeepColumn& column = *segment->deep(feature.key);
    const std::vector<uint64_t> query = RandomDeepCode(random, feature.shape).code;
    DocSet allowed(segment->doc_count());
    for (uint32_t i = 0; i < segment->doc_count(); ++i) {
      if (random.Below(3) == 0) allowed.Set(DocId(i));
    }
    NearestOptions options{.k = random.Below(80)};
    if (round % 3 == 0) options.allowed = &allowed;
    if (round % 4 == 0) options.within = Distance{feature.shape.code_bits / 2 - 2};
    SearchStats stats;
    EXPECT_EQ(*NearestCodes(column, query, options, stats), PlainNearest(column, query, options)) << round;
    EXPECT_EQ(stats.scanned, segment->doc_count());
    EXPECT_TRUE(stats.complete());
  }
}

TEST(NearestCodes, WithinAnythingIsNoLimit) {
  const TestShard shard(10, 1, true);
  const std::vector<std::byte> file = shard.Seal();
  const auto segment = *Segment::Open(file);
  SearchStats stats;
  const std::vector<uint64_t> query(4, 0);
  const NearestOptions options{.within = Distance{UINT32_MAX}};
  EXPECT_EQ(NearestCodes(*segment->deep(shard.features[0].key), query, options, stats)->size(), 10u);
}

TEST(NearestCodes, StopsAtTheDeadlineAndSaysHowFarItCame) {
  constexpr size_t kWords = 64, kDocs = 60000;  // four steps
  const std::vector<uint64_t> codes(kDocs * kWords, 0), query(kWords, 0);
  const DeepColumn column{
      .shape = {4096, 1}, .doc_count = kDocs, .codes = codes, .vectors = {}, .norms = {}, .present = {}};
  SearchStats stats;
  const NearestOptions late{.k = 5, .deadline = Deadline::After(std::chrono::seconds(-1))};
  const auto found = *NearestCodes(column, query, late, stats);
  EXPECT_EQ(found.size(), 5u);
  EXPECT_GT(stats.scanned, 0u);
  EXPECT_LT(stats.scanned, kDocs / 2);
  EXPECT_EQ(stats.documents, kDocs);
  EXPECT_FALSE(stats.complete());
  ASSERT_TRUE(NearestCodes(column, query, {.k = 5}, stats).ok());
  EXPECT_EQ(stats.documents, 2 * kDocs) << "statistics add up";
}

TEST(NearestCodes, RefusesAQueryOrFilterOfAnotherShape) {
  const TestShard shard(10, 1);
  const std::vector<std::byte> file = shard.Seal();
  const auto segment = *Segment::Open(file);
  const DeepColumn& column = *segment->deep(shard.features[0].key);
  SearchStats stats;
  EXPECT_TRUE(absl::IsInvalidArgument(NearestCodes(column, std::vector<uint64_t>(3), {}, stats).status()));
  const DocSet small(9);
  EXPECT_TRUE(
      absl::IsInvalidArgument(NearestCodes(column, std::vector<uint64_t>(4), {.allowed = &small}, stats).status()));
}

TEST(DocSet, CountsAndCombines) {
  DocSet a(130), b = DocSet::All(130);
  EXPECT_EQ(b.Count(), 130u);
  for (const uint32_t doc : {0u, 63u, 64u, 129u}) a.Set(DocId(doc));
  EXPECT_TRUE(a.Test(DocId(129)));
  EXPECT_FALSE(a.Test(DocId(128)));
  EXPECT_EQ(a.Count(), 4u);
  b.AndNot(a);
  EXPECT_EQ(b.Count(), 126u);
  b.Or(a);
  EXPECT_EQ(b, DocSet::All(130));
  b.And(a);
  EXPECT_EQ(b, a);
  a.Clear(DocId(0));
  EXPECT_EQ(a.Count(), 3u);
  EXPECT_EQ(DocSet::All(0).Count(), 0u);
}

TEST(Snapshot, NumbersDocumentsAcrossSegmentsEmptyOnesToo) {
  std::vector<std::vector<std::byte>> files;
  std::vector<std::shared_ptr<const Segment>> segments;
  for (const size_t documents : {0, 3, 0, 0, 5, 0}) files.push_back(TestShard(documents, 100 + files.size()).Seal());
  for (const auto& file : files) segments.push_back(*Segment::Open(file));
  const Snapshot snapshot("r1", segments);
  EXPECT_EQ(snapshot.doc_count(), 8u);
  for (uint64_t ordinal = 0; ordinal < 8; ++ordinal) {
    const Snapshot::Place place = snapshot.At(ordinal);
    EXPECT_EQ(place, (ordinal < 3 ? Snapshot::Place{1, DocId(static_cast<uint32_t>(ordinal))}
                                  : Snapshot::Place{4, DocId(static_cast<uint32_t>(ordinal - 3))}));
    EXPECT_EQ(snapshot.Ordinal(place), ordinal);
    EXPECT_EQ(snapshot.Find(snapshot.signature(place)), place);
  }
  EXPECT_EQ(snapshot.Find(Signature{}), std::nullopt);
  EXPECT_EQ(Snapshot("empty", {}).doc_count(), 0u);
}

}  // namespace
}  // namespace likeness
