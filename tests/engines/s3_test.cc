// The object store on a real S3 gateway: what every store promises, and what only S3 can get wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "object/s3_store.h"
#include "support/engines.h"
#include "support/object_store_suite.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

using testing::HasSubstr;

// A prefix of its own for each store. Nothing where no gateway was started.
std::optional<S3Options> Options(const std::filesystem::path& cache = {}) {
  static std::atomic<int> count{0};
  if (!EngineSetting("LIKENESS_TEST_S3_ENDPOINT")) return std::nullopt;
  S3Options options;
  options.endpoint = *EngineSetting("LIKENESS_TEST_S3_ENDPOINT");
  options.bucket = *EngineSetting("LIKENESS_TEST_S3_BUCKET");
  options.prefix = "test/" + std::to_string(::getpid()) + "-" + std::to_string(count++);
  options.credentials = {*EngineSetting("LIKENESS_TEST_S3_ACCESS_KEY"), *EngineSetting("LIKENESS_TEST_S3_SECRET_KEY")};
  options.cache = cache;
  return options;
}

std::unique_ptr<ObjectStore> OpenStore(const std::filesystem::path& folder, uint64_t multipart_from) {
  std::optional<S3Options> options = Options(folder);
  if (!options) return nullptr;
  options->multipart_from = multipart_from;
  auto store = S3Store::Open(*options);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

INSTANTIATE_TEST_SUITE_P(
    S3, ObjectStoreTest,
    testing::Values(ObjectStoreKind{"Whole", [](const auto& folder) { return OpenStore(folder, 64 << 20); }, false},
                    ObjectStoreKind{"InParts", [](const auto& folder) { return OpenStore(folder, 1 << 20); }, false}),
    NameOfStore);

class S3 : public testing::Test {
 protected:
  void SetUp() override {
    LIKENESS_REQUIRE_ENGINE("LIKENESS_TEST_S3_ENDPOINT");
    options_ = *Options(scratch_.path() / "cache");
  }
  absl::Status OpenStatus() {
    const Stopwatch watch;
    const absl::Status status = S3Store::Open(options_).status();
    EXPECT_LT(watch.Milliseconds(), 5000);
    EXPECT_THAT(MessageOf(status), testing::Not(HasSubstr(options_.credentials.secret_key)));
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    return status;
  }

  const ScratchFolder scratch_;
  S3Options options_;
};

class ClockAt final : public Clock {
 public:
  explicit ClockAt(std::chrono::minutes off) : off_(off) {}
  std::chrono::system_clock::time_point Now() const override { return std::chrono::system_clock::now() + off_; }

 private:
  const std::chrono::minutes off_;
};

TEST_F(S3, DecidesConditionsItself) {
  const auto store = *S3Store::Open(options_);
  EXPECT_TRUE(store->honors_if_absent());
  EXPECT_TRUE(store->honors_if_match());
}

TEST_F(S3, BadCredentialsBucketAndClockAreOneSentence) {
  const S3Options good = options_;
  options_.credentials.secret_key += "x";
  EXPECT_THAT(MessageOf(OpenStatus()), HasSubstr("does not accept the credentials"));
  options_ = good;
  options_.credentials.access_key = "nobody";
  EXPECT_THAT(MessageOf(OpenStatus()), HasSubstr("does not accept the credentials"));
  options_ = good;
  options_.bucket = "no-such-bucket";
  EXPECT_THAT(MessageOf(OpenStatus()), HasSubstr("has no bucket 'no-such-bucket'"));
  for (const int minutes : {-30, 30}) {
    options_ = good;
    const ClockAt clock{std::chrono::minutes(minutes)};
    options_.clock = &clock;
    EXPECT_THAT(MessageOf(OpenStatus()), HasSubstr("set this machine's clock"));
  }
}

TEST_F(S3, AClockThatJumpsStopsWithASentence) {
  class Jumping final : public Clock {
   public:
    std::chrono::system_clock::time_point Now() const override { return std::chrono::system_clock::now() + off.load(); }
    std::atomic<std::chrono::minutes> off{std::chrono::minutes(0)};
  } clock;
  options_.clock = &clock;
  const auto store = *S3Store::Open(options_);
  ASSERT_TRUE(store->Put("k", AsBytes("v")).ok());
  clock.off = std::chrono::minutes(60);
  EXPECT_THAT(MessageOf(store->Put("k", AsBytes("w"))), HasSubstr("set this machine's clock"));
  EXPECT_THAT(MessageOf(store->Get("k").status()), HasSubstr("set this machine's clock"));
  clock.off = std::chrono::minutes(0);
  EXPECT_EQ(AsText(store->Get("k")->bytes()), "v");
}

TEST_F(S3, LargeObjectsComeBackAsTheyWere) {
  options_.multipart_from = 8 << 20;
  options_.part_bytes = 5 << 20;
  const auto store = *S3Store::Open(options_);
  std::string content(23 << 20, '\0');
  Random random(7);
  for (size_t i = 0; i + 8 <= content.size(); i += 8) {
    const uint64_t word = random();
    std::memcpy(content.data() + i, &word, 8);
  }
  const std::filesystem::path file = scratch_.path() / "file";
  ASSERT_TRUE(WriteFileAtomic(file, AsBytes(content)).ok());
  ASSERT_TRUE(store->PutFile("parts", file).ok());
  EXPECT_THAT((*store->Head("parts"))->etag, HasSubstr("-5")) << "it went in one piece";
  ASSERT_TRUE(store->PutFile("once", file, {.if_absent = true}).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(store->PutFile("once", file, {.if_absent = true})));
  for (const char* key : {"parts", "once"}) {
    EXPECT_TRUE(AsText(store->Get(key)->bytes()) == content) << key;
    EXPECT_TRUE(*ReadFile(*store->LocalFile(key)) == content) << key;
    EXPECT_EQ(*store->GetRange(key, 5'242'870, 20), content.substr(5'242'870, 20)) << key;
  }
}

TEST_F(S3, OddNamesAndAllPrintableCharactersAreKeys) {
  const auto store = *S3Store::Open(options_);
  std::vector<std::string> keys = {"a+b/c d", "a%20b", "q?x=1&y#z", "\"<>'&amp;~", "=,;:@!$()*[]{}|^`"};
  std::ranges::sort(keys);
  for (const std::string& key : keys) ASSERT_TRUE(store->Put(key, AsBytes(key)).ok()) << key;
  const auto listed = store->List("", "", 100);
  ASSERT_TRUE(listed.ok()) << listed.status();
  std::vector<std::string> names;
  for (const ObjectInfo& object : *listed) names.push_back(object.key);
  EXPECT_EQ(names, keys);
  for (const std::string& key : keys) EXPECT_EQ(AsText(store->Get(key)->bytes()), key);
  EXPECT_EQ(store->List("a", keys.front(), 100)->size(), 2u);
}

TEST_F(S3, ARestartedGatewayIsWaitedFor) {
  const auto store = *S3Store::Open(options_);
  std::atomic<bool> stop{false};
  std::atomic<int> puts{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !stop; ++i) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        const absl::Status put = store->Put(key, AsBytes(key), {.if_absent = true});
        ASSERT_TRUE(put.ok()) << put;  // a put whose answer was lost is known as one's own
        const auto blob = store->Get(key);
        ASSERT_TRUE(blob.ok()) << blob.status();
        ASSERT_EQ(AsText(blob->bytes()), key);
        ++puts;
      }
    });
  }
  while (puts < 50) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(Engines("restart s3"));
  EXPECT_TRUE(Engines("kill s3") && Engines("start s3"));
  const int before = puts;
  while (puts < before + 50) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ListAll(*store, "")->size(), static_cast<size_t>(puts));
  EXPECT_GT(store->counts().retries, 0u);
}

}  // namespace
}  // namespace likeness
