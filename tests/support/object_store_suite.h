// What every object store promises, as tests that a file instantiates with the stores that it has:
//
//   INSTANTIATE_TEST_SUITE_P(All, ObjectStoreTest, testing::Values(ObjectStoreKind{"Folder", open}), NameOfStore);
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "base/random.h"
#include "object/object_store.h"
#include "support/scratch_folder.h"

namespace likeness {

struct ObjectStoreKind {
  const char* name;
  // An empty store; the folder is its own, and does not exist yet.
  std::function<std::unique_ptr<ObjectStore>(const std::filesystem::path&)> open;  // null: the test is skipped
  bool keeps_tree = true;  // refuses a key that goes on where another ends
};

inline void PrintTo(const ObjectStoreKind& kind, std::ostream* out) { *out << kind.name; }

inline std::string NameOfStore(const testing::TestParamInfo<ObjectStoreKind>& info) { return info.param.name; }

class ObjectStoreTest : public testing::TestWithParam<ObjectStoreKind> {
 protected:
  void SetUp() override {
    if (!store_) GTEST_SKIP() << "there is no such store here";
  }
  std::vector<std::string> Keys(std::string_view prefix, std::string_view after = "", size_t limit = 1000) {
    std::vector<std::string> keys;
    const auto objects = store_->List(prefix, after, limit);
    EXPECT_TRUE(objects.ok()) << objects.status();
    for (const ObjectInfo& object : *objects) keys.push_back(object.key);
    return keys;
  }
  std::string Content(std::string_view key) {
    const auto blob = store_->Get(key);
    return blob.ok() ? std::string(AsText(blob->bytes())) : "missing: " + MessageOf(blob.status());
  }
  const ScratchFolder scratch_;
  const std::filesystem::path folder_ = scratch_.path();
  std::unique_ptr<ObjectStore> store_ = GetParam().open(folder_ / "store");
};

TEST_P(ObjectStoreTest, WhatIsPutIsRead) {
  std::string content(100'000, 'x');
  content[7] = '\0';
  ASSERT_TRUE(store_->Put("features/a.b/1/part-0", AsBytes(content)).ok());
  EXPECT_EQ(Content("features/a.b/1/part-0"), content);
  EXPECT_EQ(*store_->GetRange("features/a.b/1/part-0", 5, 4), content.substr(5, 4));
  EXPECT_EQ(*store_->GetRange("features/a.b/1/part-0", 100'000, 0), "");
  EXPECT_EQ((*store_->Head("features/a.b/1/part-0"))->size, content.size());
  ASSERT_TRUE(store_->Put("empty", {}).ok());
  EXPECT_EQ(Content("empty"), "");
  ASSERT_TRUE(store_->Put("empty", AsBytes("no more")).ok());
  EXPECT_EQ(Content("empty"), "no more");
}

TEST_P(ObjectStoreTest, AnOldBlobOutlivesItsObject) {
  ASSERT_TRUE(store_->Put("k", AsBytes("old")).ok());
  const Blob blob = *store_->Get("k");
  ASSERT_TRUE(store_->Put("k", AsBytes("new!")).ok());
  ASSERT_TRUE(store_->Delete("k").ok());
  EXPECT_EQ(AsText(blob.bytes()), "old");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(blob.bytes().data()) % 16, 0u);
}

TEST_P(ObjectStoreTest, AbsentIsNotFound) {
  ASSERT_TRUE(store_->Put("a/b", AsBytes("12345")).ok());
  for (const char* key : {"none", "a", "a/c", "a/b/c"}) {
    EXPECT_EQ(store_->Get(key).status().code(), absl::StatusCode::kNotFound) << key;
    EXPECT_EQ(store_->GetRange(key, 0, 1).status().code(), absl::StatusCode::kNotFound) << key;
    EXPECT_EQ(store_->LocalFile(key).status().code(), absl::StatusCode::kNotFound) << key;
    const auto head = store_->Head(key);
    ASSERT_TRUE(head.ok()) << head.status();
    EXPECT_FALSE(head->has_value()) << key;
    EXPECT_TRUE(store_->Delete(key).ok()) << key;
  }
  EXPECT_EQ(Content("a/b"), "12345");
  EXPECT_EQ(store_->GetRange("a/b", 3, 3).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(store_->GetRange("a/b", 6, 0).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(store_->GetRange("a/b", 1, UINT64_MAX).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_P(ObjectStoreTest, RefusesKeysThatAreNoKeys) {
  const std::string keys[] = {"",
                              "/a",
                              "a/",
                              "a//b",
                              "..",
                              "a/../b",
                              ".",
                              "a/./b",
                              ".incoming/x",
                              ".lock",
                              "a\\b",
                              std::string("a\0b", 3),
                              "a\nb",
                              "\xc3\xa4",
                              std::string(201, 'a'),
                              std::string(1001, 'a')};
  for (const std::string& key : keys) {
    EXPECT_EQ(store_->Put(key, AsBytes("x")).code(), absl::StatusCode::kInvalidArgument) << key;
    EXPECT_EQ(store_->Get(key).status().code(), absl::StatusCode::kInvalidArgument) << key;
    EXPECT_EQ(store_->Head(key).status().code(), absl::StatusCode::kInvalidArgument) << key;
    EXPECT_EQ(store_->Delete(key).code(), absl::StatusCode::kInvalidArgument) << key;
  }
  EXPECT_THAT(Keys(""), testing::IsEmpty());
}

TEST_P(ObjectStoreTest, NoKeyGoesOnWhereAnotherEnds) {
  if (!GetParam().keeps_tree) GTEST_SKIP() << "this store does not look";
  ASSERT_TRUE(store_->Put("a/b", AsBytes("x")).ok());
  EXPECT_EQ(store_->Put("a", AsBytes("y")).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->Put("a/b/c", AsBytes("y")).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->Put("a", AsBytes("y"), {.if_absent = true}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Keys(""), testing::ElementsAre("a/b"));
}

TEST_P(ObjectStoreTest, ConditionsHold) {
  ASSERT_TRUE(store_->Put("k", AsBytes("1"), {.if_absent = true}).ok());
  EXPECT_EQ(store_->Put("k", AsBytes("2"), {.if_absent = true}).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Content("k"), "1");
  const std::string etag = (*store_->Head("k"))->etag;
  EXPECT_FALSE(etag.empty());
  ASSERT_TRUE(store_->Put("k", AsBytes("3"), {.if_match = etag}).ok());
  EXPECT_NE((*store_->Head("k"))->etag, etag);
  EXPECT_EQ(store_->Put("k", AsBytes("4"), {.if_match = etag}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->Put("gone", AsBytes("4"), {.if_match = etag}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Content("k"), "3");
  EXPECT_EQ(store_->Put("k", AsBytes("4"), {.if_absent = true, .if_match = etag}).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_P(ObjectStoreTest, ListsInTheOrderOfBytesPageByPage) {
  const std::vector<std::string> keys = {"a-b", "a.b/x", "a/b", "a/c/d", "a/c0", "a0", "b"};  // '-' '.' '/' '0'
  for (size_t i = keys.size(); i-- > 0;) ASSERT_TRUE(store_->Put(keys[i], AsBytes(keys[i])).ok());
  EXPECT_EQ(Keys(""), keys);
  EXPECT_THAT(Keys("a/"), testing::ElementsAre("a/b", "a/c/d", "a/c0"));
  EXPECT_THAT(Keys("a/c"), testing::ElementsAre("a/c/d", "a/c0"));
  EXPECT_THAT(Keys("c"), testing::IsEmpty());
  for (size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(Keys("", keys[i]), std::vector<std::string>(keys.begin() + i + 1, keys.end())) << keys[i];
    EXPECT_THAT(Keys("", i == 0 ? "" : keys[i - 1], 1), testing::ElementsAre(keys[i]));
  }
  EXPECT_THAT(Keys("a/", "a/b/zzz"), testing::ElementsAre("a/c/d", "a/c0"));
  EXPECT_THAT(Keys("b", "a"), testing::ElementsAre("b"));
  EXPECT_THAT(Keys("", "", 0), testing::IsEmpty());
  EXPECT_EQ((*store_->List("a0", "", 1))[0].size, 2u);
}

TEST_P(ObjectStoreTest, ListAllReadsEveryPage) {
  for (int i = 0; i < 1001; ++i) ASSERT_TRUE(store_->Put("p/" + std::to_string(i), {}).ok());
  EXPECT_EQ(ListAll(*store_, "p/")->size(), 1001u);
}

TEST_P(ObjectStoreTest, PutsAndLendsFiles) {
  const std::filesystem::path file = folder_ / "file";
  const std::string content(3'000'000, 'f');
  ASSERT_TRUE(WriteFileAtomic(file, AsBytes(content)).ok());
  ASSERT_TRUE(store_->PutFile("copied", file, {.if_absent = true}).ok());
  EXPECT_TRUE(std::filesystem::exists(file));
  EXPECT_EQ(store_->PutFile("copied", file, {.if_absent = true, .take_file = true}).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::exists(file)) << "a refused put took the file";
  ASSERT_TRUE(store_->PutFile("taken", file, {.take_file = true}).ok());
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_EQ(store_->PutFile("none", file).code(), absl::StatusCode::kNotFound);
  for (const char* key : {"copied", "taken"}) EXPECT_EQ(*ReadFile(*store_->LocalFile(key)), content);
  const std::string etag = (*store_->Head("taken"))->etag;
  ASSERT_TRUE(store_->Put("taken", AsBytes("small"), {.if_match = etag}).ok());
  EXPECT_EQ(store_->Put("taken", AsBytes("late"), {.if_match = etag}).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(ObjectStoreTest, OneOfManyWins) {
  constexpr int kThreads = 4, kRounds = 20;
  ASSERT_TRUE(store_->Put("count", AsBytes("0")).ok());
  std::atomic<int> created{0}, switched{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        const absl::Status put = store_->Put("once/" + std::to_string(i), AsBytes("x"), {.if_absent = true});
        created += put.ok();
        EXPECT_TRUE(put.ok() || absl::IsAlreadyExists(put)) << put;
        while (true) {  // A counter that only conditional puts advance.
          const std::string etag = (*store_->Head("count"))->etag;
          const int value = std::stoi(Content("count"));
          const absl::Status next = store_->Put("count", AsBytes(std::to_string(value + 1)), {.if_match = etag});
          if (next.ok()) break;
          ASSERT_TRUE(absl::IsFailedPrecondition(next)) << next;
        }
        ++switched;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(created, kRounds);
  // Content read between Head and Put may be newer than the etag, but then the put fails: no step is lost or doubled.
  EXPECT_EQ(Content("count"), std::to_string(switched));
}

TEST_P(ObjectStoreTest, AgreesWithAMapUnderRandomOperations) {
  const uint64_t seed = 20261122;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  std::map<std::string, std::string> model;
  for (int step = 0; step < 600; ++step) {
    const std::string key =
        std::string(1, static_cast<char>('a' + random.Below(4))) + "/" + std::to_string(random.Below(12));
    const std::string content = std::to_string(random());
    switch (random.Below(4)) {
      case 0:
        ASSERT_TRUE(store_->Put(key, AsBytes(content)).ok());
        model[key] = content;
        break;
      case 1:
        ASSERT_EQ(store_->Put(key, AsBytes(content), {.if_absent = true}).ok(), model.emplace(key, content).second);
        break;
      case 2:
        ASSERT_TRUE(store_->Delete(key).ok());
        model.erase(key);
        break;
      default: {
        std::vector<std::string> want;
        const size_t limit = random.Below(20);
        for (auto i = model.upper_bound(key); i != model.end() && want.size() < limit; ++i) want.push_back(i->first);
        ASSERT_EQ(Keys("", key, limit), want);
        const auto found = model.find(key);
        ASSERT_EQ(store_->Get(key).ok(), found != model.end());
        EXPECT_EQ(Content(key), found != model.end() ? found->second : Content(key));
      }
    }
  }
}

}  // namespace likeness
