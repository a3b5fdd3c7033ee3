// The graph beside a plain sort: whole searches equal it, quick ones nearly; stored codes are always found; masks,
// permutations and threads change nothing; damaged bytes do no harm.
#include "index/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <string>

#include "index/allowed_nodes.h"
#include "index/nearest.h"
#include "index/segment.h"
#include "index/segment_format.h"
#include "index/segment_test_data.h"
#include "kernel/hamming_gather.h"

namespace likeness {
namespace {

using Codes = std::vector<uint64_t>;

// Rows near `centers` random codes, each bit flipped with probability 1/8; each fifth row equals the one before it
// where `doubles`.
Codes MakeRows(Random& random, size_t rows, size_t words, size_t centers, bool doubles) {
  Codes center(centers * words), codes(rows * words);
  for (uint64_t& word : center) word = random();
  for (size_t row = 0; row < rows; ++row) {
    const size_t from = random.Below(centers);
    for (size_t w = 0; w < words; ++w) {
      codes[row * words + w] = doubles && row % 5 == 4 ? codes[(row - 1) * words + w]
                                                       : center[from * words + w] ^ (random() & random() & random());
    }
  }
  return codes;
}

std::vector<uint64_t> PlainNearest(CodeRows codes, std::span<const uint64_t> query, size_t k,
                                   std::span<const uint64_t> allowed) {
  std::vector<uint64_t> keys;
  for (uint32_t row = 0; row < codes.rows(); ++row) {
    if (!allowed.empty() && (allowed[row / 64] >> (row % 64) & 1) == 0) continue;
    uint32_t bits = 0;
    for (size_t w = 0; w < codes.words; ++w) {
      bits += static_cast<uint32_t>(std::popcount(codes.data[row * codes.words + w] ^ query[w]));
    }
    keys.push_back(RankedKey(bits, row));
  }
  std::sort(keys.begin(), keys.end());
  keys.resize(std::min(keys.size(), k));
  return keys;
}

struct Made {
  Made(Codes rows, size_t words_of_code, const GraphOptions& options = {}, std::span<const uint64_t> present = {})
      : codes(std::move(rows)), words(words_of_code), bytes(MakeGraph(view(), present, options)) {
    auto read = GraphView::Read(bytes, view().rows(), words);
    LIKENESS_CHECK(read.ok());
    graph = *read;
    LIKENESS_CHECK(graph.Check().ok());
  }
  CodeRows view() const { return {codes, words}; }
  std::span<const uint64_t> row(size_t i) const { return std::span(codes).subspan(i * words, words); }
  std::vector<uint64_t> Search(std::span<const uint64_t> query, size_t k, const GraphSearch& search) const {
    TopK best(k);
    EXPECT_TRUE(SearchGraph(graph, view(), query, search, best).ended);
    return best.TakeSorted();
  }

  Codes codes;
  size_t words;
  std::vector<std::byte> bytes;
  GraphView graph;
};

// List by list, as if many more were allowed than are, or along edges.
std::optional<GraphSearch::Sparse> Sparsely(bool sparse) {
  if (!sparse) return std::nullopt;
  return GraphSearch::Sparse{.missed = 0.1, .allowed = 1e9};
}

std::vector<uint64_t> RandomBitmap(Random& random, size_t rows, uint64_t of, uint64_t in) {
  std::vector<uint64_t> bitmap((rows + 63) / 64);
  for (size_t row = 0; row < rows; ++row) bitmap[row / 64] |= uint64_t{random.Below(in) < of} << (row % 64);
  return bitmap;
}

TEST(Graph, SearchedWholeIsThePlainSort) {
  SCOPED_TRACE("LIKENESS_TEST_SEED=" + std::to_string(TestSeed()));
  Random random(TestSeed());
  for (const size_t words : {1, 2, 4, 20, 64}) {
    for (const size_t rows : {1, 2, 63, 64, 700}) {
      const std::vector<uint64_t> present = RandomBitmap(random, rows, 9, 10);
      const Made made(MakeRows(random, rows, words, 1 + rows / 30, rows % 2 == 0), words, {.seed = rows}, present);
      for (int round = 0; round < 6; ++round) {
        std::vector<uint64_t> allowed = RandomBitmap(random, rows, round < 3 ? 1 : 3, 4);
        for (size_t i = 0; i < allowed.size(); ++i) allowed[i] &= present[i];
        if (round % 3 == 0) allowed = present;
        Codes query = MakeRows(random, 1, words, 1, false);
        if (round % 2 == 0) query.assign(made.row(rows / 2).begin(), made.row(rows / 2).end());
        const size_t k = 1 + random.Below(30);
        const auto expected = PlainNearest(made.view(), query, k, allowed);
        for (const bool sparse : {false, true}) {
          GraphSearch search{.ef = rows, .lists = rows, .allowed = allowed, .sparse = Sparsely(sparse)};
          EXPECT_EQ(made.Search(query, k, search), expected)
              << words << " words, " << rows << " rows, round " << round << (sparse ? ", by lists" : ", by edges");
          if (!sparse) continue;
          const auto nodes = AllowedNodes::Of(made.graph, made.view(), allowed);
          search.sparse->nodes = nodes.get();
          EXPECT_EQ(made.Search(query, k, search), expected) << "with what is kept, round " << round;
        }
      }
    }
  }
}

TEST(Graph, FindsEveryStoredCodeAtTheLeastEffort) {
  Random random(TestSeed() + 1);
  for (const size_t centers : {1, 40, 3000}) {
    const Made made(MakeRows(random, 3000, 4, centers, true), 4);
    for (size_t row = 0; row < 3000; ++row) {
      const auto found = made.Search(made.row(row), 2, {.ef = 1, .lists = 1});
      ASSERT_FALSE(found.empty());
      ASSERT_EQ(RankOf(found[0]), 0u) << row << " of " << centers << " centers";
      ASSERT_TRUE(row % 5 != 4 || RankOf(found.at(1)) == 0) << "its double, " << row;
    }
  }
}

TEST(Graph, FindsAllOfManyEqualCodes) {
  Random random(TestSeed() + 2);
  Codes codes = MakeRows(random, 4000, 4, 50, false);
  for (size_t row = 0; row < 4000; row += 2)
    std::copy_n(codes.begin(), 4, codes.begin() + static_cast<ptrdiff_t>(4 * row));
  const Made made(codes, 4);
  EXPECT_EQ(made.graph.members.size(), 2001u);
  const auto found = made.Search(made.row(0), 3000, {});
  ASSERT_GE(found.size(), 2000u);
  for (uint32_t i = 0; i < 2000; ++i) ASSERT_EQ(found[i], RankedKey(0, 2 * i));
  const auto first = made.Search(made.row(0), 10, {});
  for (uint32_t i = 0; i < 10; ++i) EXPECT_EQ(first[i], RankedKey(0, 2 * i)) << "the first by row";
  std::vector<uint64_t> allowed(63, 0);
  allowed[1998 / 64] |= uint64_t{1} << (1998 % 64);
  for (const bool sparse : {false, true}) {
    EXPECT_EQ(made.Search(made.row(0), 10, {.allowed = allowed, .sparse = Sparsely(sparse)}).at(0), RankedKey(0, 1998));
  }
}

double Recall(const Made& made, Random& random, size_t k, const GraphSearch& search) {
  double found = 0;
  constexpr size_t kQueries = 50;
  for (size_t q = 0; q < kQueries; ++q) {
    const auto from = made.row(random.Below(made.view().rows()));
    Codes query(from.begin(), from.end());
    for (uint64_t& word : query) word ^= random() & random() & random();
    const auto expected = PlainNearest(made.view(), query, k, search.allowed);
    for (const uint64_t key : made.Search(query, k, search)) found += RankOf(key) <= RankOf(expected.back()) ? 1 : 0;
  }
  return found / static_cast<double>(k * kQueries);
}

TEST(Graph, FindsNearlyAllWithLittleEffort) {
  SCOPED_TRACE("LIKENESS_TEST_SEED=" + std::to_string(TestSeed()));
  Random random(TestSeed() + 3);
  const Made made(MakeRows(random, 5000, 4, 50, false), 4);
  EXPECT_GE(Recall(made, random, 10, {.ef = 32, .lists = 4}), 0.95);
  const std::vector<uint64_t> half = RandomBitmap(random, 5000, 1, 2);
  EXPECT_GE(Recall(made, random, 10, {.ef = 64, .lists = 4, .allowed = half}), 0.95);
}

// Whole lists are kept: those of the pivots of which `keeps` is true.
template <typename Keeps>
std::vector<uint64_t> BitmapOfLists(const Made& made, const Keeps& keeps) {
  std::vector<uint64_t> bitmap((made.view().rows() + 63) / 64);
  for (size_t pivot = 0; pivot < made.graph.ends.size(); ++pivot) {
    if (!keeps(pivot)) continue;
    for (size_t i = pivot == 0 ? 0 : made.graph.ends[pivot - 1]; i < made.graph.ends[pivot]; ++i) {
      ForEachEqual(made.graph, made.graph.members[i],
                   [&](uint32_t row) { bitmap[row / 64] |= uint64_t{1} << (row % 64); });
    }
  }
  return bitmap;
}

// Of filters by lot and of those that know the codes, whether what is kept with a set helps or not.
TEST(Graph, FindsNearlyAllUnderFilters) {
  SCOPED_TRACE("LIKENESS_TEST_SEED=" + std::to_string(TestSeed()));
  Random random(TestSeed() + 8);
  const Made made(MakeRows(random, 20000, 4, 400, true), 4);
  std::vector<std::vector<uint64_t>> filters;
  for (const uint64_t percent : {2, 10, 30, 70, 98}) filters.push_back(RandomBitmap(random, 20000, percent, 100));
  filters.push_back(BitmapOfLists(made, [](size_t pivot) { return pivot % 10 == 3; }));
  filters.push_back(BitmapOfLists(made, [](size_t pivot) { return pivot % 3 != 0; }));
  for (size_t f = 0; f < filters.size(); ++f) {
    const auto nodes = AllowedNodes::Of(made.graph, made.view(), filters[f]);
    EXPECT_EQ(nodes->documents, CountBits(filters[f]));
    EXPECT_EQ(nodes->codes.empty(), nodes->documents > 20000 / 6) << "few are kept with their codes";
    GraphSearch search{.ef = 14, .lists = 8, .allowed = filters[f]};
    search.sparse = {.missed = 0.3, .allowed = static_cast<double>(nodes->documents), .nodes = nodes.get()};
    EXPECT_GE(Recall(made, random, 10, search), 0.96) << "filter " << f;
    // What is kept changes the time alone.
    for (int q = 0; q < 30; ++q) {
      const Codes query = MakeRows(random, 1, 4, 1, false);
      search.sparse->nodes = nodes.get();
      const auto kept = made.Search(query, 10, search);
      search.sparse->nodes = nullptr;
      EXPECT_EQ(made.Search(query, 10, search), kept) << "filter " << f;
    }
  }
}

TEST(Graph, GivesUpForAScanWhereListsWouldTakeLonger) {
  Random random(TestSeed() + 9);
  Codes codes(20000 * 4);  // without any order: lists say nothing
  for (uint64_t& word : codes) word = random();
  const Made made(std::move(codes), 4);
  const std::vector<uint64_t> allowed = RandomBitmap(random, 20000, 1, 2);
  GraphSearch search{.lists = 8, .allowed = allowed};
  search.sparse = {.missed = 0.4, .allowed = 10000, .most = 5000};
  TopK best(10);
  const Codes query = MakeRows(random, 1, 4, 1, false);
  const GraphEffort effort = SearchGraph(made.graph, made.view(), query, search, best);
  EXPECT_TRUE(effort.gave_up);
  EXPECT_LT(effort.compared, made.graph.ends.size() + 5000u) << "before it has cost as much";
}

TEST(Graph, IsTheSameForAMaskOrAPermutationOfTheBits) {
  Random random(TestSeed() + 4);
  constexpr size_t kWords = 4, kRows = 2000;
  const Codes plain = MakeRows(random, kRows + 50, kWords, 100, true);
  Codes mask(kWords);
  for (uint64_t& word : mask) word = random();
  std::vector<size_t> order(64 * kWords);
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  Codes masked = plain, permuted(plain.size());
  for (size_t i = 0; i < plain.size(); ++i) masked[i] ^= mask[i % kWords];
  for (size_t row = 0; row < kRows + 50; ++row) {
    for (size_t bit = 0; bit < order.size(); ++bit) {
      const uint64_t value = plain[row * kWords + order[bit] / 64] >> (order[bit] % 64) & 1;
      permuted[row * kWords + bit / 64] |= value << (bit % 64);
    }
  }
  const auto rows_of = [&](const Codes& codes) { return Codes(codes.begin(), codes.begin() + kRows * kWords); };
  const Made a(rows_of(plain), kWords), b(rows_of(masked), kWords), c(rows_of(permuted), kWords);
  for (const Made* other : {&b, &c}) {
    EXPECT_TRUE(std::ranges::equal(a.graph.edges, other->graph.edges));
    EXPECT_TRUE(std::ranges::equal(a.graph.members, other->graph.members));
    EXPECT_TRUE(std::ranges::equal(a.graph.same, other->graph.same));
  }
  for (size_t q = kRows; q < kRows + 50; ++q) {
    const auto query_of = [&](const Codes& codes) { return std::span(codes).subspan(q * kWords, kWords); };
    const auto found = a.Search(query_of(plain), 10, {.ef = 16, .lists = 2});
    EXPECT_EQ(b.Search(query_of(masked), 10, {.ef = 16, .lists = 2}), found);
    EXPECT_EQ(c.Search(query_of(permuted), 10, {.ef = 16, .lists = 2}), found);
  }
}

TEST(Graph, IsTheSameForAnyNumberOfThreadsAndAnotherForAnotherSeed) {
  Random random(TestSeed() + 5);
  const Codes codes = MakeRows(random, 2500, 4, 80, true);
  const auto bytes = MakeGraph({codes, 4}, {}, {.seed = 3, .threads = 1});
  EXPECT_EQ(MakeGraph({codes, 4}, {}, {.seed = 3, .threads = 2}), bytes);
  EXPECT_EQ(MakeGraph({codes, 4}, {}, {.seed = 3, .threads = 7}), bytes);
  EXPECT_NE(MakeGraph({codes, 4}, {}, {.seed = 4, .threads = 2}), bytes);
}

TEST(Graph, AnswersTheSameInAnotherOrderOfRows) {
  Random random(TestSeed() + 6);
  constexpr size_t kRows = 2500;
  const Codes codes = MakeRows(random, kRows, 4, 40, false);
  std::vector<uint32_t> order(kRows);  // row i of the other is row order[i] of this
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = kRows; i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  Codes shuffled;
  for (const uint32_t row : order)
    shuffled.insert(shuffled.end(), codes.begin() + 4 * row, codes.begin() + 4 * row + 4);
  const Made a(codes, 4), b(shuffled, 4);
  size_t same = 0;
  for (size_t q = 0; q < 200; ++q) {
    Codes query(a.row(q).begin(), a.row(q).end());
    query[0] ^= random() & random();
    const auto x = a.Search(query, 10, {.ef = 200, .lists = 10}), y = b.Search(query, 10, {.ef = 200, .lists = 10});
    const auto equal = [](uint64_t l, uint64_t r) { return RankOf(l) == RankOf(r); };
    same += std::ranges::equal(x, y, equal) ? 1 : 0;
  }
  EXPECT_GE(same, 199u) << "of 200";
}

TEST(Graph, OfDamagedBytesDoesNoHarm) {
  SCOPED_TRACE("LIKENESS_TEST_SEED=" + std::to_string(TestSeed()));
  Random random(TestSeed() + 7);
  const Made made(MakeRows(random, 3000, 2, 30, true), 2);
  size_t noticed = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<std::byte> bytes = made.bytes;
    const size_t damages = 1 + random.Below(200);
    for (size_t i = 0; i < damages; ++i) {
      // Four bytes of a kind that hurts: all ones, small numbers, or anything; the header now and then.
      const size_t at = (round % 4 == 0 ? random.Below(64) : random.Below(bytes.size() - 64) + 60) / 4 * 4;
      const uint32_t values[] = {0, 1, 2999, 3000, kNoRow, static_cast<uint32_t>(random())};
      std::memcpy(bytes.data() + at, &values[random.Below(6)], 4);
    }
    const auto graph = GraphView::Read(bytes, 3000, 2);
    if (!graph.ok()) {
      EXPECT_TRUE(absl::IsDataLoss(graph.status()) || absl::IsUnimplemented(graph.status())) << graph.status();
      continue;
    }
    noticed += graph->Check().ok() ? 0 : 1;
    if (graph->empty()) continue;
    const std::vector<uint64_t> allowed = RandomBitmap(random, 3000, 1 + round % 8, 9);
    const auto nodes = AllowedNodes::Of(*graph, made.view(), allowed);
    for (int way = 0; way < 4; ++way) {
      TopK best(20);
      GraphSearch search{.ef = 50, .lists = 3, .sparse = Sparsely(way > 0)};
      if (way > 1) search.allowed = allowed;
      if (way > 2) search.sparse->nodes = nodes.get();
      SearchGraph(*graph, made.view(), made.row(static_cast<size_t>(round)), search, best);
      for (const uint64_t key : best.TakeSorted()) EXPECT_LT(RowOf(key), 3000u);
    }
  }
  EXPECT_GT(noticed, 50u);
  for (const size_t size : {size_t{0}, size_t{63}, size_t{64}, made.bytes.size() - 4, made.bytes.size() / 2}) {
    EXPECT_TRUE(absl::IsDataLoss(GraphView::Read(std::span(made.bytes).first(size), 3000, 2).status())) << size;
  }
  EXPECT_TRUE(absl::IsDataLoss(GraphView::Read(made.bytes, 2999, 2).status())) << "of another column";
  EXPECT_TRUE(absl::IsDataLoss(GraphView::Read(made.bytes, 3000, 4).status()));
}

TEST(Graph, IsWrittenAsItsPageShows) {
  const Codes codes = {0x0F, 0x0F, 0xFF00, 0x01};
  const std::vector<std::byte> bytes = MakeGraph({codes, 1}, {}, {.degree = 4});
  std::vector<std::byte> expected(336);
  const auto put = [&](size_t at, std::initializer_list<uint32_t> values) {
    std::memcpy(expected.data() + at, values.begin(), values.size() * sizeof(uint32_t));
  };
  std::memcpy(expected.data(), "LKGRPH\x1a\n", 8);
  put(8, {1, 4, 4, 0, 3, 0, 1, 1, 1, 64});
  put(64, {3, 2, kNoRow, kNoRow, kNoRow, kNoRow, kNoRow, kNoRow, 3, 0, kNoRow, kNoRow, 0, 2, kNoRow, kNoRow});
  put(128, {1});
  put(192, {3});
  put(256, {0, 2, 3});
  put(320, {1, kNoRow, kNoRow, kNoRow});
  EXPECT_EQ(bytes, expected);
}

// A segment of codes near some centers, with a graph.
std::vector<std::byte> SegmentWithGraph(size_t documents, const FeatureKey& key, size_t threads) {
  Random random(11);
  const Codes codes = MakeRows(random, documents, 4, 1 + documents / 100, false);
  std::vector<Fingerprint> prints(documents);
  for (size_t i = 0; i < documents; ++i) {
    prints[i].signature = RandomSignature(random);
    if (i % 9 == 5) continue;
    prints[i].deep.push_back(
        {key,
         {{codes.begin() + static_cast<ptrdiff_t>(4 * i), codes.begin() + static_cast<ptrdiff_t>(4 * i + 4)},
          {1, 2},
          2.2f}});
  }
  std::sort(prints.begin(), prints.end(), [](const auto& a, const auto& b) { return a.signature < b.signature; });
  SegmentWriter writer = *SegmentWriter::Create({{key, {256, 2}}});
  writer.set_indexing({.graph_least_bytes = 0, .threads = threads});
  for (const Fingerprint& print : prints) LIKENESS_CHECK(writer.Add(print).ok());
  return writer.Seal();
}

TEST(GraphOfSegment, IsMadeReadVerifiedAndAsked) {
  constexpr size_t kDocuments = 12000;
  const FeatureKey key = FeatureKey::Of("deep.a", "1");
  const std::vector<std::byte> file = SegmentWithGraph(kDocuments, key, 2);
  EXPECT_EQ(SegmentWithGraph(kDocuments, key, 1), file) << "the same bytes";
  const auto segment = *Segment::Open(file);
  ASSERT_TRUE(segment->Verify().ok());
  const DeepColumn& column = *segment->deep(key);
  ASSERT_FALSE(column.graph.empty());
  DocSet half(kDocuments), few(kDocuments), none(kDocuments);
  for (uint32_t i = 0; i < kDocuments; i += 2) half.Set(DocId(i));
  for (uint32_t i = 0; i < kDocuments; i += 400) few.Set(DocId(i));
  Random random(5);
  size_t compared = 0, found = 0, wanted = 0;
  for (int q = 0; q < 60; ++q) {
    const auto stored = column.code(DocId(static_cast<uint32_t>(random.Below(kDocuments))));
    Codes query(stored.begin(), stored.end());
    query[1] ^= random() & random();
    const DocSet* filters[] = {nullptr, &half, &few, &none};
    NearestOptions options{.k = 10, .allowed = filters[q % 4]};
    SearchStats stats;
    const auto quick = *NearestCodes(column, query, options, stats);
    EXPECT_TRUE(stats.complete());
    if (q % 4 == 0) compared += stats.compared;
    options.exact = true;
    const auto exact = *NearestCodes(column, query, options, stats);
    EXPECT_EQ(quick.size(), exact.size()) << "a filter lets fewer through than were asked for";
    for (size_t i = 0; i < quick.size(); ++i) {
      EXPECT_TRUE(column.has(quick[i].doc) && (options.allowed == nullptr || options.allowed->Test(quick[i].doc)));
      found += quick[i].distance <= exact.back().distance ? 1 : 0;
    }
    wanted += exact.size();
  }
  EXPECT_LT(compared, 15 * kDocuments / 4) << "no scan";
  EXPECT_GE(static_cast<double>(found), 0.95 * static_cast<double>(wanted));

  // The first time, the second, and later: what is kept with a set changes no answer.
  for (const size_t part : {40, 9, 2}) {
    DocSet set(kDocuments);
    for (uint32_t i = 0; i < kDocuments; ++i) {
      if (random.Below(part) == 0) set.Set(DocId(i));
    }
    const auto stored = column.code(DocId(static_cast<uint32_t>(random.Below(kDocuments))));
    SearchStats stats;
    const auto first = *NearestCodes(column, stored, {.k = 10, .allowed = &set}, stats);
    EXPECT_EQ(*NearestCodes(column, stored, {.k = 10, .allowed = &set}, stats), first) << part;
    EXPECT_EQ(*NearestCodes(column, stored, {.k = 10, .allowed = &set}, stats), first) << part;
    set.Clear(first[0].doc);
    const auto without = *NearestCodes(column, stored, {.k = 10, .allowed = &set}, stats);
    EXPECT_EQ(std::ranges::count(without, first[0]), 0) << "it was taken out of the set";
    const auto again = *NearestCodes(column, stored, {.k = 10, .allowed = &set}, stats);
    EXPECT_EQ(again, without);
    const NearestOptions exact{.k = 10, .allowed = &set, .exact = true};
    if (part > 16) {
      EXPECT_EQ(*NearestCodes(column, stored, exact, stats), without) << "few are looked at one by one";
    }
  }

  // The borders of what may be asked.
  const Codes query(4, 0);
  SearchStats stats;
  EXPECT_TRUE(NearestCodes(column, query, {.k = 0}, stats)->empty());
  EXPECT_EQ(NearestCodes(column, query, {.k = 1'000'000}, stats)->size(), kDocuments - (kDocuments + 3) / 9);
  EXPECT_TRUE(NearestCodes(column, query, {.k = 5, .within = Distance{0}}, stats)->empty());
  EXPECT_TRUE(absl::IsInvalidArgument(NearestCodes(column, Codes(3), {}, stats).status()));
  SearchStats late;
  const auto some =
      NearestCodes(column, query, {.k = 20, .deadline = Deadline::After(std::chrono::seconds(-1)), .effort = 3}, late);
  EXPECT_FALSE(some->empty());
  EXPECT_FALSE(late.complete());
  EXPECT_GT(late.scanned, 0u);
}

TEST(GraphOfSegment, DamagedIsDataLossAndLaterIsPassedOver) {
  const FeatureKey key = FeatureKey::Of("deep.a", "1");
  const std::vector<std::byte> file = SegmentWithGraph(2000, key, 1);
  const auto at =
      static_cast<size_t>((*Segment::Open(file))->section(kDeepGraphSection, key.ToString())->data() - file.data());
  std::vector<std::byte> edge = file, magic = file, later = file;
  edge[at + 64 + 2] ^= std::byte{0x40};
  const auto damaged = *Segment::Open(edge);
  EXPECT_TRUE(absl::IsDataLoss(damaged->Verify()));
  SearchStats stats;
  EXPECT_TRUE(NearestCodes(*damaged->deep(key), Codes(4, 7), {}, stats).ok());
  magic[at] ^= std::byte{1};
  EXPECT_TRUE(absl::IsDataLoss(Segment::Open(magic).status()));
  later[at + 8] = std::byte{2};
  const auto newer = *Segment::Open(later);
  EXPECT_TRUE(newer->deep(key)->graph.empty()) << "scanned";
  EXPECT_EQ(NearestCodes(*newer->deep(key), Codes(4, 7), {.k = 9}, stats)->size(), 9u);
}

}  // namespace
}  // namespace likeness
