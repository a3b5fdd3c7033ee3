// Fingerprint files: what is written is found, equal content gives equal bytes, damage is found.
#include "store/fingerprint_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"

namespace likeness {
namespace {

const ShardId kShard{*Epoch::Parse("2026-11-22"), 7};

std::vector<Fingerprint> Make(size_t count, size_t words, size_t dimension, uint64_t seed) {
  Random random(seed);
  std::vector<Fingerprint> all(count);
  for (size_t i = 0; i < count; ++i) {
    Fingerprint& f = all[i];
    f.signature = Signature::Of(AsBytes(std::to_string(i)));
    f.width = static_cast<uint32_t>(random.Below(5000));
    f.height = 1;
    for (size_t k = 0; k < i % 3; ++k) {
      Fingerprint::Deep deep;
      deep.key = {"deep.model" + std::to_string(k), "0123456789ab"};
      deep.value.code.resize(words);
      deep.value.vector.resize(dimension);
      for (uint64_t& word : deep.value.code) word = random();
      for (int8_t& v : deep.value.vector) v = static_cast<int8_t>(random());
      deep.value.norm = static_cast<float>(random.Unit() * 1000);
      f.deep.push_back(std::move(deep));
    }
  }
  std::ranges::sort(all, {}, &Fingerprint::signature);
  return all;
}

bool Same(const Fingerprint& a, const Fingerprint& b) {
  return a.signature == b.signature && a.width == b.width && a.height == b.height &&
         std::ranges::equal(a.deep, b.deep, [](const Fingerprint::Deep& x, const Fingerprint::Deep& y) {
           return x.key == y.key && x.value.code == y.value.code && x.value.vector == y.value.vector &&
                  x.value.norm == y.value.norm;
         });
}

class FingerprintFileTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path Write(const char* name, const std::vector<Fingerprint>& all) {
    const auto writer = *FingerprintWriter::Create(folder_ / name, kShard);
    for (const Fingerprint& fingerprint : all) EXPECT_TRUE(writer->Add(fingerprint).ok());
    EXPECT_TRUE(writer->Seal().ok());
    return folder_ / name;
  }
  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("likeness_fingerprints_" + std::to_string(::getpid()));
};

TEST_F(FingerprintFileTest, WhatIsWrittenIsFound) {
  const std::vector<Fingerprint> all = Make(2000, 16, 1280, 1);
  const auto file = *FingerprintFile::Open(Write("a.sst", all));
  EXPECT_EQ(file->size(), all.size());
  EXPECT_EQ(file->shard(), kShard);
  EXPECT_TRUE(file->VerifyChecksum().ok());
  for (size_t i = 0; i < all.size(); i += 7) {
    const auto found = file->Get(all[i].signature);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(Same(*found, all[i]));
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(file->Get(Signature::Of(AsBytes("no" + std::to_string(i)))).status().code(), absl::StatusCode::kNotFound);
  }
  Signature last;
  last.bytes.fill(std::byte{255});
  EXPECT_EQ(file->Get(last).status().code(), absl::StatusCode::kNotFound);
  size_t next = 0;
  ASSERT_TRUE(file->ForEach([&](Fingerprint f) {
                    return Same(f, all[next++]) ? absl::OkStatus() : absl::InternalError("differs");
                  })
                  .ok());
  EXPECT_EQ(next, all.size());
  EXPECT_EQ(file->ForEach([](const Fingerprint&) { return absl::CancelledError("enough"); }).code(),
            absl::StatusCode::kCancelled);
}

TEST_F(FingerprintFileTest, EqualContentGivesEqualBytesAndOtherContentAnotherIdentity) {
  const std::vector<Fingerprint> all = Make(300, 16, 1280, 1);
  const std::string a = *ReadFile(Write("a.sst", all));
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // Another second on every clock.
  EXPECT_EQ(a, *ReadFile(Write("another-name.sst", all)));
  const auto one = *FingerprintFile::Open(folder_ / "a.sst");
  const auto two = *FingerprintFile::Open(Write("b.sst", Make(300, 16, 1280, 2)));
  EXPECT_NE(one->Properties().at("rocksdb.identity"), two->Properties().at("rocksdb.identity"));
  char host[256] = {};
  ASSERT_EQ(::gethostname(host, sizeof(host) - 1), 0);
  EXPECT_EQ(a.find(std::string("host.identity") + host), std::string::npos);
}

TEST_F(FingerprintFileTest, ManyThreadsRead) {
  const std::vector<Fingerprint> all = Make(500, 4, 64, 3);
  const auto file = *FingerprintFile::Open(Write("a.sst", all));
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = t; i < all.size(); i += 2) EXPECT_TRUE(Same(*file->Get(all[i].signature), all[i]));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(FingerprintFileTest, RefusesMisuseAndLeavesNothing) {
  const std::vector<Fingerprint> all = Make(3, 1, 8, 1);
  {
    const auto writer = *FingerprintWriter::Create(folder_ / "a.sst", kShard);
    EXPECT_EQ(writer->Seal().code(), absl::StatusCode::kFailedPrecondition);
    ASSERT_TRUE(writer->Add(all[1]).ok());
    EXPECT_EQ(writer->Add(all[1]).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(writer->Add(all[0]).code(), absl::StatusCode::kInvalidArgument);
    Fingerprint twice = all[2];
    twice.deep = {{{"deep.a", "1"}, {}}, {{"deep.a", "1"}, {}}};
    EXPECT_EQ(writer->Add(twice).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  EXPECT_FALSE(FingerprintWriter::Create(folder_ / "none" / "a.sst", kShard).ok());
}

TEST_F(FingerprintFileTest, DamageIsFoundAndNeverACrash) {
  const std::filesystem::path path = Write("a.sst", Make(60, 2, 100, 5));
  const std::string good = *ReadFile(path);
  EXPECT_EQ(FingerprintFile::Open(folder_ / "none").status().code(), absl::StatusCode::kNotFound);
  const auto broken = [&](const std::string& bytes) {
    std::ofstream(folder_ / "bad.sst", std::ios::binary) << bytes;
    const auto file = FingerprintFile::Open(folder_ / "bad.sst");
    if (!file.ok()) return true;
    uint64_t count = 0;
    const absl::Status read = (*file)->ForEach([&](const Fingerprint&) {
      ++count;
      return absl::OkStatus();
    });
    return !read.ok() || !(*file)->VerifyChecksum().ok() || count != (*file)->size();
  };
  EXPECT_FALSE(broken(good));
  for (size_t size = 0; size < good.size(); size += 1 + good.size() / 60) EXPECT_TRUE(broken(good.substr(0, size)));
  const uint64_t seed = 11;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  size_t unseen = 0;
  constexpr size_t kFlips = 400;
  for (size_t i = 0; i < kFlips; ++i) {
    std::string bad = good;
    bad[random.Below(bad.size())] ^= static_cast<char>(1 << random.Below(8));
    unseen += !broken(bad);
  }
  // Padding of the footer and names of optional blocks may change without harm; content may not.
  EXPECT_LT(unseen, kFlips / 20);
}

// Prints what a random read costs; the bar holds on any machine that is not in distress.
TEST_F(FingerprintFileTest, ARandomReadIsFast) {
  const std::vector<Fingerprint> all = Make(30'000, 16, 1280, 1);
  const auto file = *FingerprintFile::Open(Write("a.sst", all));
  Random random(1);
  std::vector<double> microseconds;
  for (int i = 0; i < 6000; ++i) {
    const Signature& signature = all[random.Below(all.size())].signature;
    const Stopwatch watch;
    ASSERT_TRUE(file->Get(signature).ok());
    if (i >= 1000) microseconds.push_back(watch.Milliseconds() * 1000);
  }
  std::ranges::sort(microseconds);
  RecordProperty("p50_us", std::to_string(microseconds[microseconds.size() / 2]));
  EXPECT_LT(microseconds[microseconds.size() / 2], 200);
}

}  // namespace
}  // namespace likeness
