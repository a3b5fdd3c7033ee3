// The catalog in a file: the suite of every engine, and what is SQLite's own.
#include "catalog/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "catalog/postgres.h"
#include "catalog/text.h"
#include "catalog/words.h"
#include "engines/catalog_conformance.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

CatalogEngine Sqlite() {
  auto folder = std::make_shared<std::unique_ptr<ScratchFolder>>();
  return {"sqlite", [folder] { *folder = std::make_unique<ScratchFolder>(); },
          [folder] { return Catalog::Open((*folder)->path() / "catalog.sqlite"); }};
}

INSTANTIATE_TEST_SUITE_P(Sqlite, CatalogConformance, testing::Values(Sqlite()),
                         [](const auto& info) { return info.param.name; });

TEST(CatalogFile, ThatIsNoDatabaseIsRefused) {
  const ScratchFolder folder;
  const auto path = folder.path() / "other.sqlite";
  ASSERT_TRUE(WriteFileAtomic(path, AsBytes(std::string(10'000, 'x'))).ok());
  EXPECT_EQ(Catalog::Open(path).status().code(), absl::StatusCode::kDataLoss);
}

TEST(CatalogFile, OfVersion1KeepsAllThatItKnew) {
  const ScratchFolder folder;
  const auto path = folder.path() / "catalog.sqlite";
  std::filesystem::copy_file(std::filesystem::path(LIKENESS_SOURCE_DIR) / "tests/format/catalog.v1.sqlite", path);
  for (int opening = 0; opening < 2; ++opening) {
    SCOPED_TRACE(opening);
    auto opened = Catalog::Open(path);
    ASSERT_TRUE(opened.ok()) << opened.status();
    Catalog& catalog = **opened;
    const CatalogCounts counts = *catalog.Counts();
    EXPECT_EQ(counts.images, 5u);
    EXPECT_EQ(counts.pins, 7u);
    EXPECT_EQ(counts.quarantined, 3u);
    const Epoch first = Day("2026-11-21");
    std::vector<Signature> second_shard = {Of("two"), Of("three")};
    std::ranges::sort(second_shard);
    EXPECT_THAT(*catalog.Shards(), SizeIs(2));
    EXPECT_THAT(*catalog.ShardSignatures({first, 0}), ElementsAre(Of("one")));
    EXPECT_EQ(*catalog.ShardSignatures({first, 1}), second_shard);
    EXPECT_EQ((*catalog.Image(Of("two")))->reason, "the picture is cut off");
    EXPECT_EQ((*catalog.Image(Of("two")))->shard, 1u);
    EXPECT_EQ((*catalog.Image(Of("no picture")))->reason, "not a picture");
    EXPECT_EQ((*catalog.Image(Of("one")))->epoch, first);
    EXPECT_EQ((*catalog.Image(Of("kept")))->location, "object:images/4d/" + Of("kept").Hex());
    EXPECT_THAT(*catalog.Paths(Of("one")), ElementsAre("/p/one.jpg", "/q/copy of one.jpg"));
    EXPECT_THAT(*catalog.Paths(Of("three")), IsEmpty());
    EXPECT_THAT(*catalog.Unpinned(), ElementsAre(Of("three")));
    EXPECT_THAT(*catalog.Match({"", "shoe"}), ElementsAre(Of("four")));
    EXPECT_THAT(*catalog.Pins(std::vector{Of("one")}), SizeIs(2));
    const auto sources = *catalog.Sources(std::vector<std::string>{"/p/three.jpg", "/p/empty.jpg"});
    EXPECT_EQ(sources[0]->modified_ns, 1700000000123456789);
    EXPECT_EQ(sources[0]->signature, Of("three changed"));
    EXPECT_EQ(sources[1]->reason, "the file is empty");
    EXPECT_THAT(*catalog.Quarantine(9), SizeIs(3));
  }
  // What had no shard gets one, and nothing else does.
  const auto cut = *(*Catalog::Open(path))->CutShards(10);
  ASSERT_THAT(cut, SizeIs(1));
  EXPECT_EQ(cut[0].images, 3u);
  EXPECT_EQ(cut[0].id, (ShardId{Day("2026-11-22"), 0}));
}

TEST(PostgresAddress, NeverHoldsAPassword) {
  EXPECT_TRUE(PostgresConninfo("postgresql://me@127.0.0.1:5432/likeness").ok());
  EXPECT_TRUE(PostgresConninfo("postgresql:///likeness?host=/run/postgresql").ok());
  for (const char* bad :
       {"postgresql://me:sesame@h/db", "postgresql://me@h/db?password=sesame", "mysql://me:sesame@h/db",
        "postgresql://me:sesame@[h/db", "postgresql://me@h:1/db?sesame=1", "postgresql://me@h:1"}) {
    const auto conninfo = PostgresConninfo(bad);
    EXPECT_EQ(conninfo.status().code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(MessageOf(conninfo.status()), testing::Not(testing::HasSubstr("sesame"))) << bad;
  }
}

TEST(StoredText, IsValidUtf8AndReversible) {
  EXPECT_EQ(ToStored("plain"), "plain");
  EXPECT_EQ(ToStored("Über \xf0\x9f\x91\xa0"), "Über \xf0\x9f\x91\xa0");
  EXPECT_EQ(ToStored("\xff"), "\xf4\x8f\xbf\xbf");
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr unsigned char kBytes[] = {0, 'a', 0x80, 0x8f, 0xa0, 0xbc, 0xbf, 0xc0, 0xc3, 0xed, 0xe0, 0xf0, 0xf4, 0xff};
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes;
    for (unsigned n = random() % 8; n > 0; --n) bytes.push_back(static_cast<char>(kBytes[random() % sizeof(kBytes)]));
    const std::string stored = ToStored(bytes);
    ASSERT_EQ(FromStored(stored), bytes) << testing::PrintToString(bytes);
    ASSERT_EQ(stored.find('\0'), std::string::npos);
  }
}

TEST(Words, AreLowerCaseDistinctAndSurviveBadUtf8) {
  EXPECT_THAT(WordsOf("Red, RED-shoes 8½"), ElementsAre("8", "red", "shoes"));
  EXPECT_THAT(WordsOf("a\xff\xfe"
                      "b \xe2\x82"),
              ElementsAre("a", "b"));
  EXPECT_THAT(WordsOf(std::string(1000, 'x')), ElementsAre(std::string(64, 'x')));
  EXPECT_THAT(WordsOf(""), IsEmpty());
}

}  // namespace
}  // namespace likeness
