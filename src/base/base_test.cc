// What the foundation promises: bytes keep their meaning, files are whole or absent, blame follows the code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

class FileTest : public testing::Test {
 protected:
  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
};

TEST(Status, BlameFollowsTheCode) {
  EXPECT_EQ(BlameOf(absl::InvalidArgumentError("")), Blame::kCaller);
  EXPECT_EQ(BlameOf(absl::DataLossError("")), Blame::kData);
  EXPECT_EQ(BlameOf(absl::UnavailableError("")), Blame::kWorld);
  EXPECT_EQ(CodeName(absl::InvalidArgumentError("")), "invalid_argument");
  EXPECT_EQ(MessageOf(Annotate(absl::DataLossError("cut off"), "a.jpg")), "a.jpg: cut off");
  EXPECT_EQ(ErrnoStatus(ENOSPC, "cannot write x").code(), absl::StatusCode::kResourceExhausted);
}

TEST(Bytes, HexRoundTripsAndRefusesOtherText) {
  std::array<std::byte, 3> bytes;
  ASSERT_TRUE(HexDecode("00fFa1", bytes));
  EXPECT_EQ(HexEncode(bytes), "00ffa1");
  EXPECT_FALSE(HexDecode("00fg00", bytes));
  EXPECT_FALSE(HexDecode("00ff", bytes));
}

TEST(Bytes, DigestsAreTheStandardOnes) {
  std::array<std::byte, 16> md5;
  Md5(AsBytes("abc"), md5);
  EXPECT_EQ(HexEncode(md5), "900150983cd24fb0d6963f7d28e17f72");  // RFC 1321, A.5
  EXPECT_EQ(Sha256Hex(AsBytes("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(FileTest, WritesAreWholeAndIfAbsentKeepsTheFirst) {
  const auto path = folder_ / "deep" / "file";
  ASSERT_TRUE(WriteFileIfAbsent(path, AsBytes("first")).ok());
  EXPECT_EQ(WriteFileIfAbsent(path, AsBytes("second")).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(*ReadFile(path), "first");
  ASSERT_TRUE(WriteFileAtomic(path, AsBytes("third")).ok());
  EXPECT_EQ(AsText((*MappedFile::Open(path))->bytes()), "third");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}), 1) << "left a temporary file";
}

TEST_F(FileTest, ReadingRefusesWhatItShould) {
  EXPECT_EQ(ReadFile(folder_ / "none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadFile(folder_).status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(WriteFileAtomic(folder_ / "big", AsBytes("12345")).ok());
  EXPECT_EQ(ReadFile(folder_ / "big", 4).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(Random, IsTheSameForASeedAndUniformEnough) {
  Random a(7), b(7);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const uint64_t value = a();
    ASSERT_EQ(value, b());
    sum += a.Unit();
    b.Unit();
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.02);
}

TEST(ThreadPool, RunsEverythingOnce) {
  std::atomic<int> count{0};
  {
    ThreadPool pool(3);
    for (int i = 0; i < 100; ++i) pool.Submit([&] { ++count; });
    pool.Wait();
    EXPECT_EQ(count, 100);
    pool.Submit([&] { ++count; });
  }
  EXPECT_EQ(count, 101);
  std::vector<std::atomic<int>> seen(50);
  ParallelFor(seen.size(), 4, [&](size_t i) { ++seen[i]; });
  for (const auto& n : seen) EXPECT_EQ(n, 1);
}

}  // namespace
}  // namespace likeness
