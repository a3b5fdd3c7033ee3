#include "serve/thumbnails.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/file.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

std::string Jpeg(size_t size) { return "\xFF\xD8" + std::string(size, 'x') + "\xFF\xD9"; }

Signature Numbered(int i) { return Signature::Of(AsBytes("picture " + std::to_string(i))); }

class ThumbnailsTest : public testing::Test {
 protected:
  Thumbnails::Make Counting(size_t size) {
    return [this, size] {
      ++made_;
      return absl::StatusOr<std::string>(Jpeg(size));
    };
  }
  bool Make(Thumbnails& thumbnails, int i, size_t size) {
    return thumbnails.Get(Numbered(i), 64, Deadline::Never(), Counting(size)).ok();
  }

  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  Metrics metrics_;
  std::atomic<int> made_ = 0;
};

TEST(ThumbnailSideTest, RoundsUp) {
  EXPECT_EQ(Thumbnails::Side(64), 64U);
  EXPECT_EQ(Thumbnails::Side(65), 128U);
  EXPECT_EQ(Thumbnails::Side(256), 256U);
  EXPECT_EQ(Thumbnails::Side(1000), 1024U);
}

TEST_F(ThumbnailsTest, MemoryForgetsTheLeastRecentlyUsed) {
  ThumbnailOptions options;
  options.memory_bytes = 3000;
  Thumbnails thumbnails(options, metrics_);
  ASSERT_TRUE(Make(thumbnails, 1, 1000));
  ASSERT_TRUE(Make(thumbnails, 2, 1000));
  ASSERT_TRUE(Make(thumbnails, 1, 1000));  // used again
  ASSERT_TRUE(Make(thumbnails, 3, 1000));  // 2 goes
  EXPECT_EQ(made_, 3);
  ASSERT_TRUE(Make(thumbnails, 1, 1000));
  EXPECT_EQ(made_, 3);
  ASSERT_TRUE(Make(thumbnails, 2, 1000));
  EXPECT_EQ(made_, 4);
  ASSERT_TRUE(Make(thumbnails, 4, 5000));  // larger than the memory: given, not kept
  ASSERT_TRUE(Make(thumbnails, 4, 5000));
  EXPECT_EQ(made_, 6);
}

TEST_F(ThumbnailsTest, FolderOutlivesTheProcessAndMayLoseAnything) {
  ThumbnailOptions options;
  options.folder = folder_;
  ASSERT_TRUE(Make(*std::make_unique<Thumbnails>(options, metrics_), 1, 100));
  ASSERT_TRUE(Make(*std::make_unique<Thumbnails>(options, metrics_), 1, 100));
  EXPECT_EQ(made_, 1);
  const std::string hex = Numbered(1).Hex();
  const std::filesystem::path file = folder_ / hex.substr(0, 2) / (hex + "_64.jpg");
  std::filesystem::resize_file(file, 50);  // cut short
  ASSERT_TRUE(Make(*std::make_unique<Thumbnails>(options, metrics_), 1, 100));
  EXPECT_EQ(made_, 2);
  EXPECT_EQ(ReadFile(file).value(), Jpeg(100));
  std::filesystem::remove_all(folder_);
  ASSERT_TRUE(Make(*std::make_unique<Thumbnails>(options, metrics_), 1, 100));
  EXPECT_EQ(made_, 3);
}

TEST_F(ThumbnailsTest, FolderThatCannotBeWrittenIsNoError) {
  ThumbnailOptions options;
  options.folder = "/proc/likeness";
  Thumbnails thumbnails(options, metrics_);
  EXPECT_TRUE(Make(thumbnails, 1, 100));
}

TEST_F(ThumbnailsTest, FolderIsTrimmedToItsBound) {
  ThumbnailOptions options;
  options.folder = folder_;
  options.folder_bytes = 1u << 20;
  for (int i = 0; i < 40; ++i) {
    const std::string hex = Numbered(i).Hex();
    ASSERT_TRUE(WriteFileAtomic(folder_ / hex.substr(0, 2) / (hex + "_64.jpg"), AsBytes(Jpeg(50'000))).ok());
  }
  Thumbnails thumbnails(options, metrics_);
  ASSERT_TRUE(Make(thumbnails, 100, 100));
  uint64_t total = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
    if (entry.is_regular_file()) total += entry.file_size();
  }
  EXPECT_LE(total, options.folder_bytes);
  EXPECT_GT(total, options.folder_bytes / 2);
}

TEST_F(ThumbnailsTest, OneMakesItAndOthersWait) {
  ThumbnailOptions options;
  options.waiting = 8;
  Thumbnails thumbnails(options, metrics_);
  std::atomic<bool> go = false;
  const auto slow = [&]() -> absl::StatusOr<std::string> {
    ++made_;
    while (!go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return Jpeg(10);
  };
  std::atomic<int> ok = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&] {
      const auto got = thumbnails.Get(Numbered(1), 64, Deadline::Never(), slow);
      if (got.ok()) ++ok;
      if (absl::IsUnavailable(got.status())) ++refused;
    });
  }
  while (refused < 3) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto late = thumbnails.Get(Numbered(1), 64, Deadline::After(std::chrono::milliseconds(1)), slow);
  EXPECT_FALSE(late.ok());
  go = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made_, 1);
  EXPECT_EQ(ok, 9);  // the maker and eight who waited
  EXPECT_EQ(refused, 3);
}

TEST_F(ThumbnailsTest, FailureIsToldToAllAndTriedAgain) {
  Thumbnails thumbnails({}, metrics_);
  const auto fail = [] { return absl::StatusOr<std::string>(absl::DataLossError("no picture")); };
  EXPECT_TRUE(absl::IsDataLoss(thumbnails.Get(Numbered(1), 64, Deadline::Never(), fail).status()));
  EXPECT_TRUE(Make(thumbnails, 1, 10));
}

}  // namespace
}  // namespace likeness
