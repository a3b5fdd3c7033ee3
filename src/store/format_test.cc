// The files of tests/format, one of every past version of every format, are read for ever. A new version adds files;
// those that are there are never written again. LIKENESS_WRITE_FORMATS=1 writes those that are missing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/file.h"
#include "store/epoch_list.h"
#include "store/feature_shard.h"
#include "store/fingerprint_file.h"
#include "store/inspect.h"
#include "store/release.h"
#include "store/young_batch.h"

namespace likeness {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(LIKENESS_SOURCE_DIR) / "tests/format";
const ShardId kShard{*Epoch::Parse("2026-11-22"), 3};
const FeatureKey kFeature{"deep.example", "0123456789ab"};

Signature Sig(int i) {
  Signature signature;
  signature.bytes.fill(static_cast<std::byte>(i * 17));
  return signature;
}

std::string Written(const char* name, const std::string& bytes) {
  const std::filesystem::path path = kFolder / name;
  if (std::getenv("LIKENESS_WRITE_FORMATS") != nullptr) (void)WriteFileIfAbsent(path, AsBytes(bytes));
  const auto content = ReadFile(path);
  EXPECT_TRUE(content.ok()) << content.status();
  return content.value_or("");
}

nlohmann::json Inspected(const char* name) {
  const auto text = InspectFile(kFolder / name);
  EXPECT_TRUE(text.ok()) << text.status();
  return nlohmann::json::parse(text.value_or("{}"));
}

std::string MakeShard(bool ragged) {
  FeatureShardWriter writer({kFeature, kShard, Dtype::kF16, 2, ragged});
  const std::array<uint16_t, 4> halves = {0x3c00, 0xc000, 0x3800, 0};  // 1, -2, 0.5, 0
  EXPECT_TRUE(writer.Add(Sig(2), {640, 480}, std::span(halves).first(ragged ? 4 : 2)).ok());
  EXPECT_TRUE(writer.AddFailure(Sig(1), "the file is cut off").ok());
  EXPECT_TRUE(writer.Add(Sig(3), {32, 64}, std::span(halves).last(2)).ok());
  return *writer.Seal();
}

TEST(Format, FeatureShardVersion1) {
  for (const bool ragged : {false, true}) {
    const char* name = ragged ? "feature-shard-ragged.v1.safetensors" : "feature-shard.v1.safetensors";
    const std::string bytes = Written(name, MakeShard(ragged));
    const FeatureShard shard = *FeatureShard::Open(Blob::Of(bytes));
    EXPECT_TRUE(shard.VerifyChecksum().ok());
    EXPECT_EQ(shard.info(), (FeatureShardInfo{kFeature, kShard, Dtype::kF16, 2, ragged}));
    EXPECT_THAT(shard.signatures(), testing::ElementsAre(Sig(1), Sig(2), Sig(3)));
    EXPECT_EQ(shard.failure(0), "the file is cut off");
    EXPECT_EQ(shard.halves(1).size(), ragged ? 4u : 2u);
    EXPECT_THAT(shard.halves(2), testing::ElementsAre(0x3800, 0));
    EXPECT_EQ(shard.image_size(1), (ImageSize{640, 480}));
    EXPECT_EQ(bytes, MakeShard(ragged)) << "the writer of this version has changed";
    const auto seen = Inspected(name);
    EXPECT_EQ(seen["format"], "likeness.feature-shard");
    EXPECT_EQ(seen["feature"], kFeature.ToString());
    EXPECT_EQ(seen["failures"]["the file is cut off"], 1);
  }
}

TEST(Format, EpochListVersion1) {
  const std::array<Signature, 2> signatures = {Sig(1), Sig(2)};
  const std::string made = *WriteEpochList(kShard, signatures);
  const std::string bytes = Written("epoch-list.v1.safetensors", made);
  const EpochList list = *EpochList::Open(Blob::Of(bytes));
  EXPECT_EQ(list.shard(), kShard);
  EXPECT_THAT(list.signatures(), testing::ElementsAre(Sig(1), Sig(2)));
  EXPECT_EQ(bytes, made);
  EXPECT_EQ(Inspected("epoch-list.v1.safetensors")["images"], 2);
}

TEST(Format, FingerprintsVersion1) {
  const std::filesystem::path made = std::filesystem::path(testing::TempDir()) / "likeness_fingerprints.v1.sst";
  {
    const auto writer = *FingerprintWriter::Create(made, kShard);
    ASSERT_TRUE(writer->Add({Sig(1), 640, 480, {{kFeature, {{0x0123456789abcdef}, {127, -3}, 127.03543f}}}}).ok());
    ASSERT_TRUE(writer->Add({Sig(2), 0, 0, {}}).ok());
    ASSERT_TRUE(writer->Seal().ok());
  }
  Written("fingerprints.v1.sst", *ReadFile(made));
  const auto file = *FingerprintFile::Open(kFolder / "fingerprints.v1.sst");
  EXPECT_EQ(file->size(), 2u);
  const Fingerprint found = *file->Get(Sig(1));
  ASSERT_EQ(found.deep.size(), 1u);
  EXPECT_EQ(found.width, 640u);
  EXPECT_EQ(found.deep[0].key, kFeature);
  EXPECT_THAT(found.deep[0].value.code, testing::ElementsAre(0x0123456789abcdefu));
  EXPECT_THAT(found.deep[0].value.vector, testing::ElementsAre(127, -3));
  EXPECT_EQ(found.deep[0].value.norm, 127.03543f);
  EXPECT_TRUE(file->Get(Sig(2))->deep.empty());
  const auto seen = Inspected("fingerprints.v1.sst");
  EXPECT_EQ(seen["images"], 2);
  EXPECT_EQ(seen["features"][0]["code_bits"][0], 64);
  std::filesystem::remove(made);
}

TEST(Format, ReleaseVersion1) {
  const Release release{"2026-11-22-a", "2026-11-22T08:00:00Z", {{kFeature, "00ff"}}, {{kShard, 3}}};
  const std::string bytes = Written("release.v1.json", *FormatRelease(release));
  EXPECT_EQ(*ParseRelease(bytes), release);
  EXPECT_EQ(bytes, *FormatRelease(release));
  EXPECT_EQ(Inspected("release.v1.json")["images"], 3);
  EXPECT_EQ(ParseCurrent(Written("current.v1.json", FormatCurrent({"2026-11-22-a", "", {}, ""})))->name,
            "2026-11-22-a");
  EXPECT_EQ(Inspected("current.v1.json")["release"], "2026-11-22-a");
}

TEST(Inspect, KnowsAFileByItsContentAndFindsDamage) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "likeness_inspect.jpg";
  const auto code = [&](const std::string& bytes) {
    EXPECT_TRUE(WriteFileAtomic(path, AsBytes(bytes)).ok());
    return InspectFile(path).status().code();
  };
  std::string shard = MakeShard(false);
  EXPECT_EQ(code(shard), absl::StatusCode::kOk);
  shard.back() ^= 1;
  EXPECT_EQ(code(shard), absl::StatusCode::kDataLoss);
  std::string sst = *ReadFile(kFolder / "fingerprints.v1.sst");
  EXPECT_EQ(code(sst), absl::StatusCode::kOk);
  sst[20] ^= 1;
  EXPECT_EQ(code(sst), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code("{\"format\":\"other\"}"), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code("\xff\xd8\xff\xe0"), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(code(""), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(InspectFile(path.string() + ".none").status().code(), absl::StatusCode::kNotFound);
  std::filesystem::remove(path);
}

TEST(Format, YoungBatchVersion1) {
  FeatureShardWriter other({{"pdq", "01"}, kShard, Dtype::kU8, 2, false});
  const std::array<std::byte, 2> value = {std::byte{1}, std::byte{2}};
  ASSERT_TRUE(other.Add(Sig(4), {3, 4}, value).ok());
  const std::string bytes = Written("young-batch.v1", PackYoungBatch(std::vector{MakeShard(false), *other.Seal()}));
  const YoungBatch batch = *OpenYoungBatch(Blob::Of(bytes));
  ASSERT_EQ(batch.features.size(), 2u);
  EXPECT_EQ(batch.Signatures(), (std::vector{Sig(1), Sig(2), Sig(3), Sig(4)}));
  EXPECT_EQ(batch.Find(kFeature)->failure(0), "the file is cut off");
  EXPECT_TRUE(std::ranges::equal(batch.Find({"pdq", "01"})->value(0), value));
  EXPECT_EQ(batch.Find({"pdq", "02"}), nullptr);
  EXPECT_EQ(Inspected("young-batch.v1")["images"], 4);
}

TEST(Format, ADamagedYoungBatchIsAnErrorWhereverTheDamageIs) {
  const std::string bytes = PackYoungBatch(std::vector{MakeShard(false), MakeShard(true)});
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    const auto batch = OpenYoungBatch(Blob::Of(damaged));
    // Padding between shards means nothing.
    EXPECT_TRUE(!batch.ok() || bytes[at] == 0) << at;
    EXPECT_FALSE(OpenYoungBatch(Blob::Of(bytes.substr(0, at))).ok()) << at;
  }
}

}  // namespace
}  // namespace likeness
