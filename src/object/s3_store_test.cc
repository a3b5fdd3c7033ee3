// The S3 store against a server that misbehaves on demand. Against a real one: tests/engines/s3_test.cc.
#include "object/s3_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "object/file_cache.h"
#include "support/fake_s3.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

constexpr char kSecret[] = "hush-hush";

class S3StoreTest : public testing::Test {
 protected:
  S3Options Options() {
    S3Options options;
    options.endpoint = server_.endpoint();
    options.bucket = "bucket";
    options.prefix = "pre fix/x";
    options.credentials = {"me", kSecret};
    options.cache = scratch_.path() / "cache";
    options.backoff = milliseconds(1);
    options.retry_for = milliseconds(300);
    options.stall_timeout = milliseconds(1000);
    options.open_within = milliseconds(600);
    return options;
  }
  std::unique_ptr<S3Store> Open(const S3Options& options) {
    auto store = S3Store::Open(options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  static std::string PathOf(const std::string& key) { return "/bucket/pre%20fix/x/" + key; }

  // The first `times` requests that begin so get this answer.
  void Misbehave(std::string start, int times, StubReply reply) {
    const std::lock_guard guard(server_.lock);
    server_.before = [=](const StubRequest& request) mutable -> std::optional<StubReply> {
      if (!(request.method + " " + request.path).starts_with(start) || times == 0) return std::nullopt;
      --times;
      return reply;
    };
  }
  absl::Status OpenStatus(S3Options options) {
    const Stopwatch watch;
    const absl::Status status = S3Store::Open(options).status();
    EXPECT_LT(watch.Milliseconds(), 4500);
    EXPECT_THAT(MessageOf(status), Not(HasSubstr(kSecret)));
    return status;
  }

  const ScratchFolder scratch_;
  FakeS3 server_;
};

TEST_F(S3StoreTest, PutsReadsAndDeletes) {
  auto store = Open(Options());
  EXPECT_TRUE(store->honors_if_absent() && store->honors_if_match());
  ASSERT_TRUE(store->Put("a/b c", AsBytes("hello")).ok());
  EXPECT_TRUE(server_.objects.contains(PathOf("a/b%20c")));
  EXPECT_EQ(AsText(store->Get("a/b c")->bytes()), "hello");
  EXPECT_EQ((*store->Head("a/b c"))->size, 5u);
  EXPECT_EQ(*ReadFile(*store->LocalFile("a/b c")), "hello");
  EXPECT_TRUE(store->Delete("a/b c").ok());
  EXPECT_TRUE(absl::IsNotFound(store->Get("a/b c").status()));
  EXPECT_EQ(store->counts().retries, 0u);
}

TEST_F(S3StoreTest, AsksAgainWhatFailsForAWhile) {
  auto store = Open(Options());
  ASSERT_TRUE(store->Put("k", AsBytes("v")).ok());
  for (const StubReply& reply :
       {FakeS3::Error(503, "SlowDown"), FakeS3::Error(500, "InternalError"), FakeS3::Error(429, "TooManyRequests"),
        FakeS3::Error(400, "RequestTimeout"), StubReply{.drop = true}, StubReply{.body = "short", .missing = 10}}) {
    const uint64_t before = store->counts().retries;
    Misbehave("GET", 2, reply);
    const auto blob = store->Get("k");
    ASSERT_TRUE(blob.ok()) << blob.status() << " after " << reply.status;
    EXPECT_EQ(AsText(blob->bytes()), "v");
    EXPECT_GE(store->counts().retries, before + 1);  // what a kept connection loses, curl itself asks again once
    Misbehave("PUT", 2, reply);
    EXPECT_TRUE(store->Put("k", AsBytes("v")).ok());
  }
}

// All of the while is used, however the pauses, which are random, fall out.
TEST_F(S3StoreTest, GivesUpAfterAWhile) {
  const S3Options options = Options();
  auto store = Open(options);
  Misbehave("GET", 1000, FakeS3::Error(503, "SlowDown"));
  const Stopwatch watch;
  const absl::Status status = store->Get("k").status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_GE(watch.Milliseconds(), static_cast<double>(options.retry_for.count()));
  EXPECT_LT(watch.Milliseconds(), 3000);
  EXPECT_GT(store->counts().retries, 3u);
  EXPECT_THAT(MessageOf(status), HasSubstr("SlowDown"));
}

TEST_F(S3StoreTest, ASilentServerIsLeft) {
  S3Options options = Options();
  auto store = Open(options);
  ASSERT_TRUE(store->Put("k", AsBytes("v")).ok());
  Misbehave("GET", 1, {.delay = milliseconds(4000)});
  const Stopwatch watch;
  const auto blob = store->Get("k");
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_LT(watch.Milliseconds(), 3500);
}

TEST_F(S3StoreTest, ADamagedBodyIsAskedAgainAndNeverBelieved) {
  auto store = Open(Options());
  const std::string content(100'000, 'x');
  ASSERT_TRUE(store->Put("ours", AsBytes(content)).ok());
  ASSERT_TRUE(store->Put("theirs", AsBytes(content)).ok());
  server_.objects[PathOf("theirs")].meta.clear();  // only the etag is left to hold it to
  int damage = 0;
  server_.after = [&](const StubRequest& request, StubReply& reply) {
    if (request.method == "GET" && damage-- > 0) reply.body[50'000] ^= 1;
  };
  for (const char* key : {"ours", "theirs"}) {
    damage = 2;
    EXPECT_EQ(AsText(store->Get(key)->bytes()), content) << key;
    damage = 2;
    EXPECT_EQ(*ReadFile(*store->LocalFile(key)), content) << key;
    damage = 1000;
    const absl::Status status = store->Get(key).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(MessageOf(status), HasSubstr(key));
    damage = 0;
  }
}

TEST_F(S3StoreTest, ALostAnswerIsNotALostCondition) {
  auto store = Open(Options());
  int lose = 1;
  server_.after = [&](const StubRequest& request, StubReply& reply) {
    // An answer of its own rather than a closed connection, after which curl itself would ask again.
    if (request.method == "PUT" && lose-- > 0) reply = FakeS3::Error(500, "InternalError");
  };
  EXPECT_TRUE(store->Put("k", AsBytes("v"), {.if_absent = true}).ok());
  const std::string etag = (*store->Head("k"))->etag;
  lose = 1;
  EXPECT_TRUE(store->Put("k", AsBytes("w"), {.if_match = etag}).ok());
  EXPECT_EQ(AsText(store->Get("k")->bytes()), "w");
  server_.after = [&](const StubRequest& request, StubReply& reply) {  // Here curl itself sends again.
    if (request.method == "PUT" && lose-- > 0) reply.drop = true;
  };
  lose = 1;
  EXPECT_TRUE(store->Put("dropped", AsBytes("v"), {.if_absent = true}).ok());
  // Another's object is no answer of ours.
  Misbehave("PUT", 1, FakeS3::Error(500, "InternalError"));
  EXPECT_TRUE(absl::IsAlreadyExists(store->Put("k", AsBytes("w"), {.if_absent = true})));
}

TEST_F(S3StoreTest, WithoutConditionsSwitchesAreRefused) {
  server_.honors_conditions = false;
  auto store = Open(Options());
  EXPECT_FALSE(store->honors_if_absent() || store->honors_if_match());
  ASSERT_TRUE(store->Put("k", AsBytes("v"), {.if_absent = true}).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(store->Put("k", AsBytes("w"), {.if_absent = true})));
  const std::string etag = (*store->Head("k"))->etag;
  const absl::Status refused = store->Put("k", AsBytes("w"), {.if_match = etag});
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(MessageOf(refused), HasSubstr("single_writer"));
  EXPECT_EQ(AsText(store->Get("k")->bytes()), "v");

  S3Options alone = Options();
  alone.single_writer = true;
  store = Open(alone);
  EXPECT_TRUE(absl::IsFailedPrecondition(store->Put("k", AsBytes("w"), {.if_match = "other"})));
  EXPECT_TRUE(store->Put("k", AsBytes("w"), {.if_match = etag}).ok());
}

TEST_F(S3StoreTest, LargeObjectsGoInPartsAndAFailedOneLeavesNothing) {
  S3Options options = Options();
  options.multipart_from = 1 << 20;
  options.part_bytes = 5 << 20;
  auto store = Open(options);
  std::string content(12 << 20, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 + i / 7919);
  ASSERT_TRUE(WriteFileAtomic(scratch_.path() / "file", AsBytes(content)).ok());
  Misbehave("PUT", 2, FakeS3::Error(500, "InternalError"));
  ASSERT_TRUE(store->PutFile("file", scratch_.path() / "file").ok());
  EXPECT_EQ(server_.Calls("PUT " + PathOf("file") + "?partNumber="), 5u);  // three parts, two of them twice
  ASSERT_TRUE(store->Put("bytes", AsBytes(content), {.if_absent = true}).ok());
  EXPECT_EQ(AsText(store->Get("file")->bytes()), content);
  EXPECT_EQ(AsText(store->Get("bytes")->bytes()), content);
  EXPECT_TRUE(absl::IsAlreadyExists(store->Put("bytes", AsBytes(content), {.if_absent = true})));

  Misbehave("PUT", 1000, FakeS3::Error(500, "InternalError"));
  EXPECT_TRUE(absl::IsUnavailable(store->Put("never", AsBytes(content))));
  EXPECT_EQ(server_.Calls("DELETE " + PathOf("never") + "?uploadId="), 1u);
  const std::lock_guard guard(server_.lock);
  EXPECT_TRUE(server_.uploads.empty());
  EXPECT_FALSE(server_.objects.contains(PathOf("never")));
}

TEST_F(S3StoreTest, AConditionThatPartsWouldBreakGoesInOnePiece) {
  server_.honors_parts = false;
  S3Options options = Options();
  options.multipart_from = 1 << 20;
  auto store = Open(options);
  ASSERT_TRUE(store->Put("k", AsBytes(std::string(2 << 20, 'x')), {.if_absent = true}).ok());
  EXPECT_EQ(server_.Calls("PUT " + PathOf("k") + "?"), 0u);
  EXPECT_EQ((*store->Head("k"))->size, size_t{2} << 20);
}

TEST_F(S3StoreTest, OpenSaysWhatIsWrong) {
  const struct {
    int status;
    const char* code;
    const char* says;
  } cases[] = {{404, "NoSuchBucket", "has no bucket 'bucket'"},
               {403, "InvalidAccessKeyId", "does not accept the credentials"},
               {403, "SignatureDoesNotMatch", "does not accept the credentials"},
               {403, "RequestTimeTooSkewed", "set this machine's clock"},
               {403, "AccessDenied", "does not let these credentials at the bucket 'bucket'"},
               {301, "PermanentRedirect", "set the region"}};
  for (const auto& [status, code, says] : cases) {
    Misbehave("", 1000, FakeS3::Error(status, code));
    const absl::Status opened = OpenStatus(Options());
    EXPECT_TRUE(absl::IsFailedPrecondition(opened)) << code << ": " << opened;
    EXPECT_THAT(MessageOf(opened), HasSubstr(says));
  }
  Misbehave("", 1000, FakeS3::Error(500, "InternalError"));
  EXPECT_TRUE(absl::IsUnavailable(OpenStatus(Options())));
  Misbehave("", 1000, {.delay = milliseconds(1500)});
  EXPECT_TRUE(absl::IsUnavailable(OpenStatus(Options())));

  S3Options options = Options();
  options.endpoint = "http://127.0.0.1:1";
  EXPECT_TRUE(absl::IsUnavailable(OpenStatus(options)));
  EXPECT_THAT(MessageOf(OpenStatus(options)), HasSubstr("http://127.0.0.1:1 cannot be reached"));
  options.endpoint = "https" + server_.endpoint().substr(4);
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenStatus(options)));
  EXPECT_THAT(MessageOf(OpenStatus(options)), HasSubstr("TLS"));
  options.endpoint = "localhost:80";
  EXPECT_TRUE(absl::IsInvalidArgument(OpenStatus(options)));
}

TEST_F(S3StoreTest, TheCacheLetsGoOfWhatIsGone) {
  S3Options options = Options();
  options.cache_bytes = 1000;
  auto store = Open(options);
  const auto cached = [&] {
    size_t files = 0;
    for (const auto& file : std::filesystem::directory_iterator(scratch_.path() / "cache/files")) {
      files += file.is_regular_file();
    }
    return files;
  };
  for (const char* key : {"1", "2", "3"}) {
    ASSERT_TRUE(store->Put(key, AsBytes(std::string(400, key[0]))).ok());
    ASSERT_TRUE(store->LocalFile(key).ok());
  }
  EXPECT_EQ(cached(), 3u) << "a file in use was evicted";
  ASSERT_TRUE(store->Delete("1").ok());
  ASSERT_TRUE(store->Put("2", AsBytes("changed")).ok());
  ASSERT_TRUE(store->Put("4", AsBytes(std::string(400, '4'))).ok());
  EXPECT_EQ(*ReadFile(*store->LocalFile("4")), std::string(400, '4'));
  EXPECT_EQ(*ReadFile(*store->LocalFile("2")), "changed");
  EXPECT_EQ(*ReadFile(*store->LocalFile("3")), std::string(400, '3'));
  EXPECT_EQ(cached(), 3u);
}

TEST(FileCache, KeepsToItsBoundButForFilesInUse) {
  const ScratchFolder scratch;
  auto cache = *FileCache::Open(scratch.path(), 1000);
  const auto add = [&](FileCache& to, const std::string& name) {
    auto staged = *to.Stage();
    EXPECT_TRUE(WriteAll(staged.fd(), AsBytes(std::string(400, name[0])), "write").ok());
    return *to.Keep(std::move(staged), name);
  };
  for (const char* name : {"a", "b", "c"}) add(*cache, name);
  EXPECT_TRUE(cache->Use("a") && cache->Use("b") && cache->Use("c")) << "a file in use was evicted";
  auto other = *FileCache::Open(scratch.path(), 1000);  // as another process would
  EXPECT_TRUE(other->Use("a")) << "another evicted a file in use";
  cache->Forget("b");
  add(*other, "d");
  EXPECT_FALSE(other->Use("b"));
  EXPECT_EQ(*ReadFile(*other->Use("a")), std::string(400, 'a'));
  cache.reset();
  other.reset();
  other = *FileCache::Open(scratch.path(), 500);
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path() / "files"))
    files += entry.is_regular_file();
  EXPECT_EQ(files, 1u);
  { const auto dropped = *other->Stage(); }
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path() / "incoming"));
}

}  // namespace
}  // namespace likeness
