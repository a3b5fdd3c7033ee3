#include "index/token_index.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <fstream>

#include "base/bytes.h"
#include "base/file.h"
#include "index/token_format.h"
#include "index/token_test_data.h"

namespace likeness {
namespace {

class TokenIndexTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) / ("token_index" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    path_ = folder_ / "tokens";
    RecordProperty("seed", "7");
    Random random(7);
    documents_ = MakeTokenDocuments(random, 3000, 60, 12);  // few words: lists of several parts
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::shared_ptr<const TokenIndex> Open(uint64_t cache = 1 << 20) {
    auto index = TokenIndex::Open(path_, std::make_shared<TokenCache>(cache));
    EXPECT_TRUE(index.ok()) << index.status();
    return index.ok() ? *index : nullptr;
  }
  void Write(std::string_view bytes) { std::ofstream(path_, std::ios::binary) << bytes; }

  std::filesystem::path folder_, path_;
  std::vector<TokenDocument> documents_;
};

struct Posting {
  uint32_t doc;
  uint64_t signature;
  uint32_t geometry;
  friend bool operator==(const Posting&, const Posting&) = default;
};

std::vector<Posting> ReadList(const TokenIndex& index, uint32_t word) {
  std::vector<Posting> postings;
  const TokenIndex::List list = index.Find(word);
  for (uint32_t i = list.begin; i < list.end; ++i) {
    const TokenPart part = index.Read(i).value();
    size_t at = 0;
    for (size_t block = 0; block < part.bases.size(); ++block) {
      uint32_t docs[64];
      part.Documents(block, at, part.BlockPostings(block), docs);
      at += part.GapBytes(block);
      for (size_t j = 0; j < part.BlockPostings(block); ++j) {
        postings.push_back({docs[j], part.signatures[block * 64 + j], part.geometry[block * 64 + j]});
      }
    }
  }
  return postings;
}

TEST_F(TokenIndexTest, GivesBackEveryPostingInTheOrderOfDocuments) {
  ASSERT_EQ(WriteTokens(path_, documents_), absl::OkStatus());
  const auto index = Open();
  ASSERT_NE(index, nullptr);
  EXPECT_EQ(index->doc_count(), documents_.size());
  EXPECT_EQ(index->feature(), kTokenTestFeature);
  EXPECT_EQ(index->words(), 12);
  EXPECT_EQ(index->Verify(), absl::OkStatus());
  uint64_t postings = 0;
  size_t longest = 0;
  for (uint32_t word = 0; word < 12; ++word) {
    std::vector<Posting> expected;
    uint32_t having = 0;
    for (uint32_t d = 0; d < documents_.size(); ++d) {
      bool has = false;
      for (const LocalFeature& feature : documents_[d]) {
        if (feature.word != word) continue;
        has = true;
        std::array<std::byte, kLocalRowSize> row;
        PackLocal(feature, row);
        const auto at = [&](size_t i) { return std::to_integer<uint32_t>(row[i]); };
        expected.push_back(
            {d, feature.signature, PackTokenGeometry(at(12) | at(13) << 8, at(14) | at(15) << 8, at(16), at(17))});
      }
      having += has ? 1 : 0;
    }
    EXPECT_EQ(ReadList(*index, word), expected);
    EXPECT_EQ(index->Find(word).documents, having);
    EXPECT_EQ(index->Find(word).postings, expected.size());
    longest = std::max<size_t>(longest, index->Find(word).end - index->Find(word).begin);
    postings += expected.size();
  }
  EXPECT_GT(longest, 1);
  EXPECT_EQ(index->postings(), postings);
  for (uint32_t d = 0; d < documents_.size(); ++d) {
    double squares = 0;
    for (const LocalFeature& feature : documents_[d]) {
      squares += std::pow(TokenWeight(documents_.size(), index->Find(feature.word).documents), 2);
    }
    EXPECT_NEAR(index->norm(DocId(d)), std::sqrt(squares), 1e-4);
  }
}

TEST_F(TokenIndexTest, TheBytesDoNotDependOnHowTheyWereSorted) {
  ASSERT_EQ(WriteTokens(path_, documents_), absl::OkStatus());
  ASSERT_EQ(WriteTokens(folder_ / "sorted", documents_, {.sort_bytes = 1}), absl::OkStatus());  // many runs
  EXPECT_TRUE(ReadFile(path_).value() == ReadFile(folder_ / "sorted").value());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "sorted.runs"));
}

TEST_F(TokenIndexTest, KeepsAPostingInFourteenBytes) {
  // Lists as long as those of a shard of 200,000 pictures and 100,000 words.
  Random random(3);
  const auto documents = MakeTokenDocuments(random, 20'000, 30, 500);
  ASSERT_EQ(WriteTokens(path_, documents), absl::OkStatus());
  const auto index = Open();
  EXPECT_LE(static_cast<double>(index->file_bytes()) / static_cast<double>(index->postings()), 14.0);
}

TEST_F(TokenIndexTest, AnEmptyShardAndDocumentsWithoutKeypoints) {
  ASSERT_EQ(WriteTokens(path_, {}), absl::OkStatus());
  EXPECT_EQ(Open()->doc_count(), 0);
  EXPECT_TRUE(Open()->Find(0).empty());
  const std::vector<TokenDocument> blank(3);
  ASSERT_EQ(WriteTokens(path_, blank), absl::OkStatus());
  const auto index = Open();
  EXPECT_EQ(index->doc_count(), 3);
  EXPECT_EQ(index->norm(DocId(2)), 0);
  EXPECT_TRUE(index->Find(0).empty());
  EXPECT_TRUE(index->Find(4'000'000'000).empty());
  EXPECT_EQ(index->Verify(), absl::OkStatus());
}

TEST_F(TokenIndexTest, RowsThatAreNoneAreRefusedAndTheRestGoesOn) {
  const auto writer = TokenWriter::Create(path_, kTokenTestFeature).value();
  EXPECT_TRUE(absl::IsDataLoss(writer->Add(std::vector<std::byte>(17))));
  const std::vector<LocalFeature> two = {{.word = 5}, {.word = 3}};
  std::vector<std::byte> rows(2 * kLocalRowSize);
  for (size_t i = 0; i < 2; ++i) PackLocal(two[i], LocalRow(rows.data() + i * kLocalRowSize, kLocalRowSize));
  EXPECT_TRUE(absl::IsDataLoss(writer->Add(rows)));
  EXPECT_TRUE(absl::IsDataLoss(writer->Add(PackLocals(std::vector<LocalFeature>{{.word = kMostTokenWords}}))));
  EXPECT_EQ(writer->Add(PackLocals(two)), absl::OkStatus());
  EXPECT_EQ(writer->Seal(), absl::OkStatus());
  EXPECT_TRUE(absl::IsFailedPrecondition(writer->Seal()));
  EXPECT_EQ(Open()->doc_count(), 4);
  EXPECT_EQ(ReadList(*Open(), 5).at(0).doc, 3);
  EXPECT_TRUE(absl::IsInvalidArgument(TokenWriter::Create(path_, {"", ""}).status()));
}

// The example of docs/formats/tokens.md.
TEST_F(TokenIndexTest, FileOfVersion1IsReadForEver) {
  const auto kept = std::filesystem::path(LIKENESS_SOURCE_DIR) / "tests/format/tokens_v1.bin";
  const std::vector<TokenDocument> documents = {
      {{.word = 7, .signature = 0x1122334455667788, .x = 256, .y = 100.25f, .sigma = 4, .angle = 1.5707963f}},
      {},
      {{.word = 7, .signature = 0x1122334455667789, .x = 10, .y = 20, .sigma = 1, .angle = 0},
       {.word = 7, .signature = 0xFF, .x = 511, .y = 0, .sigma = 16, .angle = 3.1415927f},
       {.word = 9, .signature = 1, .x = 0, .y = 0, .sigma = 2, .angle = 0}},
  };
  ASSERT_EQ(WriteTokens(path_, documents), absl::OkStatus());
  const std::string made = ReadFile(path_).value();
  if (std::getenv("LIKENESS_WRITE_FORMAT_FILES") != nullptr) {
    ASSERT_EQ(WriteFileAtomic(kept, AsBytes(made)), absl::OkStatus());
  }
  EXPECT_TRUE(ReadFile(kept).value() == made) << "the writer makes other bytes than it did";
  const auto index = TokenIndex::Open(kept, std::make_shared<TokenCache>(0)).value();
  EXPECT_EQ(index->Verify(), absl::OkStatus());
  EXPECT_EQ(index->doc_count(), 3);
  EXPECT_EQ(index->postings(), 4);
  EXPECT_EQ(index->feature().ToString(), "local/0123456789ab");
  const std::vector<Posting> seven = ReadList(*index, 7);
  ASSERT_EQ(seven.size(), 3);
  EXPECT_EQ(seven[0].doc, 0);
  EXPECT_EQ(seven[0].signature, 0x1122334455667788);
  const LocalFeature feature = TokenFeature(7, seven[0].signature, seven[0].geometry);
  EXPECT_NEAR(feature.x, 256.25, 1e-4);
  EXPECT_NEAR(feature.y, 100.25, 1e-4);
  EXPECT_NEAR(feature.sigma, 4, 0.3);
  EXPECT_NEAR(feature.angle, 1.607, 1e-3);
  EXPECT_EQ(seven[1].doc, 2);
  EXPECT_EQ(seven[2].doc, 2);
  EXPECT_EQ(index->Find(7).documents, 2);
  EXPECT_NEAR(index->norm(DocId(2)), std::sqrt(2 * std::pow(std::log1p(1.5), 2) + std::pow(std::log1p(3.0), 2)), 1e-6);
}

TEST_F(TokenIndexTest, AnUnsealedFileGoesAway) {
  { const auto writer = TokenWriter::Create(path_, kTokenTestFeature).value(); }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(TokenIndexTest, ACutOffFileIsRefused) {
  ASSERT_EQ(WriteTokens(path_, std::span(documents_).first(20)), absl::OkStatus());
  const std::string whole = ReadFile(path_).value();
  for (size_t size = 0; size < whole.size(); size += 1 + size / 20) {
    Write(whole.substr(0, size));
    EXPECT_TRUE(absl::IsDataLoss(TokenIndex::Open(path_, std::make_shared<TokenCache>(0)).status())) << size;
  }
  std::string later = whole;
  later[8] = 2;
  Write(later);
  EXPECT_TRUE(absl::IsUnimplemented(TokenIndex::Open(path_, std::make_shared<TokenCache>(0)).status()));
  EXPECT_TRUE(absl::IsNotFound(TokenIndex::Open(folder_ / "none", std::make_shared<TokenCache>(0)).status()));
}

TEST_F(TokenIndexTest, EveryChangedByteIsDataLossAndNoCrash) {
  ASSERT_EQ(WriteTokens(path_, std::span(documents_).first(8)), absl::OkStatus());
  const std::string whole = ReadFile(path_).value();
  Random random(11);
  size_t unseen = 0;
  for (size_t at = 0; at < whole.size(); at += 1 + random.Below(31)) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.Below(8)));
    Write(damaged);
    const auto index = TokenIndex::Open(path_, std::make_shared<TokenCache>(1 << 20));
    const absl::Status status = index.ok() ? (*index)->Verify() : index.status();
    if (status.ok()) {
      ++unseen;  // zeros between lists and tables, which nobody reads
      continue;
    }
    EXPECT_TRUE(absl::IsDataLoss(status) || absl::IsUnimplemented(status)) << at << ": " << status;
  }
  EXPECT_LT(unseen, 64);
}

TEST_F(TokenIndexTest, AFileThatShrinksWhileItIsOpenIsDataLoss) {
  ASSERT_EQ(WriteTokens(path_, documents_), absl::OkStatus());
  const auto index = Open();
  std::filesystem::resize_file(path_, 1000);
  EXPECT_TRUE(absl::IsDataLoss(index->Verify()));
}

TEST_F(TokenIndexTest, TheCacheHoldsNoMoreThanItsSize) {
  ASSERT_EQ(WriteTokens(path_, documents_), absl::OkStatus());
  const auto cache = std::make_shared<TokenCache>(16 << 20);
  const auto index = TokenIndex::Open(path_, cache).value();
  ASSERT_EQ(index->Verify(), absl::OkStatus());
  const TokenCache::Stats first = cache->stats();
  EXPECT_EQ(first.hits, 0);
  EXPECT_EQ(first.misses, index->parts());
  EXPECT_GT(first.bytes, index->file_bytes() / 2);
  ASSERT_EQ(index->Verify(), absl::OkStatus());
  EXPECT_GT(cache->stats().hits, index->parts() / 2);

  const auto small = std::make_shared<TokenCache>(index->file_bytes() / 3);
  const auto bounded = TokenIndex::Open(path_, small).value();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(bounded->Verify(), absl::OkStatus());
    EXPECT_LE(small->stats().bytes, small->capacity());
  }
  const auto none = std::make_shared<TokenCache>(0);
  ASSERT_EQ(TokenIndex::Open(path_, none).value()->Verify(), absl::OkStatus());
  EXPECT_EQ(none->stats().bytes, 0);
}

}  // namespace
}  // namespace likeness
