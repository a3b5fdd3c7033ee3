// What every object store promises, held against those that need no server; then what only one of them does.
#include "object/object_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/bytes.h"
#include "base/file.h"
#include "object/faulty_store.h"
#include "object/folder_store.h"
#include "object/memory_store.h"
#include "support/object_store_suite.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

using testing::IsEmpty;

// A faulty store without faults must be as good as any.
class FaultlessStore final : public ObjectStore {
 public:
  absl::Status Put(std::string_view k, std::span<const std::byte> b, const PutOptions& o) override {
    return faulty_.Put(k, b, o);
  }
  absl::Status PutFile(std::string_view k, const std::filesystem::path& p, const PutOptions& o) override {
    return faulty_.PutFile(k, p, o);
  }
  absl::StatusOr<Blob> Get(std::string_view k) override { return faulty_.Get(k); }
  absl::StatusOr<std::string> GetRange(std::string_view k, uint64_t o, uint64_t s) override {
    return faulty_.GetRange(k, o, s);
  }
  absl::StatusOr<std::optional<ObjectInfo>> Head(std::string_view k) override { return faulty_.Head(k); }
  absl::StatusOr<std::vector<ObjectInfo>> List(std::string_view p, std::string_view s, size_t l) override {
    return faulty_.List(p, s, l);
  }
  absl::Status Delete(std::string_view k) override { return faulty_.Delete(k); }
  absl::StatusOr<std::filesystem::path> LocalFile(std::string_view k) override { return faulty_.LocalFile(k); }

 private:
  MemoryStore memory_;
  FaultyStore faulty_{memory_};
};

INSTANTIATE_TEST_SUITE_P(
    All, ObjectStoreTest,
    testing::Values(ObjectStoreKind{"Folder", [](const auto& root) { return *FolderStore::Open(root); }},
                    ObjectStoreKind{"Memory", [](const auto&) { return std::make_unique<MemoryStore>(); }},
                    ObjectStoreKind{"Faultless", [](const auto&) { return std::make_unique<FaultlessStore>(); }}),
    NameOfStore);

TEST(FolderStore, SweepsWhatKilledWritersLeftAndNothingElse) {
  const ScratchFolder scratch;
  const std::filesystem::path& root = scratch.path();
  ASSERT_TRUE(FolderStore::Open(root).ok());
  for (const char* name : {"dead", "alive"}) std::ofstream(root / ".incoming" / name) << "half of an obj";
  const int fd = ::open((root / ".incoming/alive").c_str(), O_RDONLY);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  auto store = *FolderStore::Open(root);
  EXPECT_FALSE(std::filesystem::exists(root / ".incoming/dead"));
  EXPECT_TRUE(std::filesystem::exists(root / ".incoming/alive"));
  EXPECT_THAT(*store->List("", "", 10), IsEmpty());
  ::close(fd);
  ASSERT_TRUE(store->Put("k", AsBytes("x")).ok());
  ASSERT_FALSE(store->Put("k", AsBytes("x"), {.if_match = "other"}).ok());
  store = *FolderStore::Open(root);
  EXPECT_TRUE(std::filesystem::is_empty(root / ".incoming"));
}

TEST(FolderStore, RefusesARootThatIsNoFolder) {
  const ScratchFolder scratch;
  const std::filesystem::path& root = scratch.path();
  std::ofstream(root / "file") << "x";
  EXPECT_EQ(FolderStore::Open(root / "file").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(FaultyStore, DoesWhatItIsTold) {
  MemoryStore memory;
  FaultyStore store(memory);
  store.Inject({.call = StoreCall::kPut, .nth = 2});
  store.Inject({.call = StoreCall::kPut, .nth = 3, .kind = StoreFault::Kind::kLostAnswer});
  store.Inject({.call = StoreCall::kGet, .nth = 2, .kind = StoreFault::Kind::kFlipBit, .bit = 8});
  store.Inject({.call = StoreCall::kGetRange, .kind = StoreFault::Kind::kFlipBit, .bit = 0});
  store.Inject({.call = StoreCall::kHead, .kind = StoreFault::Kind::kDelay, .delay = std::chrono::milliseconds(5)});
  store.Inject({.call = StoreCall::kList, .status = absl::ResourceExhaustedError("full")});
  EXPECT_TRUE(store.Put("1", AsBytes("aaa")).ok());
  EXPECT_EQ(store.Put("2", AsBytes("b")).code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE((*memory.Head("2")).has_value());
  EXPECT_EQ(store.Put("3", AsBytes("c")).code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE((*memory.Head("3")).has_value());
  EXPECT_EQ(AsText(store.Get("1")->bytes()), "aaa");
  EXPECT_EQ(AsText(store.Get("1")->bytes()), "a`a");
  EXPECT_EQ(*store.GetRange("1", 0, 2), "`a");
  EXPECT_TRUE(store.Head("1").ok());
  EXPECT_EQ(store.List("", "", 1).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(store.List("", "", 1).ok());
  EXPECT_EQ(store.calls(StoreCall::kPut), 3u);
  EXPECT_EQ(store.calls(StoreCall::kDelete), 0u);
}

TEST(FaultyStore, ADiskStaysFullAndAFileIsDamaged) {
  MemoryStore memory;
  FaultyStore store(memory);
  store.Inject(
      {.call = StoreCall::kPut, .nth = 2, .times = UINT64_MAX, .status = absl::ResourceExhaustedError("full")});
  store.Inject({.call = StoreCall::kLocalFile, .nth = 2, .kind = StoreFault::Kind::kFlipBit, .bit = 8});
  EXPECT_TRUE(store.Put("1", AsBytes("aaa")).ok());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(absl::IsResourceExhausted(store.Put("2", AsBytes("b"))));
  EXPECT_EQ(*ReadFile(*store.LocalFile("1")), "aaa");
  EXPECT_EQ(*ReadFile(*store.LocalFile("1")), "a`a");
  EXPECT_EQ(*ReadFile(*memory.LocalFile("1")), "aaa");
}

}  // namespace
}  // namespace likeness
