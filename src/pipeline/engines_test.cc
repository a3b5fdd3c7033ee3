// What is wrong with an engine is said at once, in a sentence that names where it was chosen, and no secret.
#include "pipeline/engines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/clock.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Nothing listens there: the port of a service that nobody runs any more.
constexpr const char* kNobody = "127.0.0.1:9";

TEST(Engines, AreSaidToBeUnreachableWithinSeconds) {
  const ScratchFolder scratch;
  ::setenv("AWS_ACCESS_KEY_ID", "key", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "hidden", 1);
  const Stopwatch objects_watch;
  ObjectsConfig objects{.url = "s3://bucket/shop", .endpoint = std::string("http://") + kNobody};
  const auto store = OpenObjects(objects, scratch.path());
  ASSERT_FALSE(store.ok());
  EXPECT_THAT(MessageOf(store.status()), AllOf(HasSubstr("[objects]"), HasSubstr("s3://bucket/shop"),
                                               HasSubstr(kNobody), Not(HasSubstr("hidden"))));
  EXPECT_LT(objects_watch.Milliseconds(), 5500);

  const Stopwatch catalog_watch;
  const auto catalog = OpenCatalog({.url = std::string("postgresql://me@") + kNobody + "/shop"}, scratch.path());
  ASSERT_FALSE(catalog.ok());
  EXPECT_THAT(MessageOf(catalog.status()), AllOf(HasSubstr("[catalog]"), HasSubstr("is PostgreSQL running")));
  EXPECT_LT(catalog_watch.Milliseconds(), 5500);

  const Stopwatch queue_watch;
  const auto queue = OpenQueue({.url = std::string("nats://") + kNobody}, scratch.path());
  ASSERT_FALSE(queue.ok());
  EXPECT_THAT(MessageOf(queue.status()), AllOf(HasSubstr("[queue]"), HasSubstr(kNobody)));
  EXPECT_LT(queue_watch.Milliseconds(), 5500);
  for (const auto& status : {store.status(), catalog.status(), queue.status()}) {
    EXPECT_EQ(MessageOf(status).find('\n'), std::string::npos) << status;
  }
}

TEST(Engines, NeverShowASecretThatStandsInAnAddress) {
  const ScratchFolder scratch;
  for (const std::string user : {"me:hidden", "hidden", "me:hid@hidden", "me:hid,hidden"}) {
    const auto queue = OpenQueue({.url = "nats://" + user + "@a:4222,nats://" + user + "@b:4222"}, scratch.path());
    ASSERT_FALSE(queue.ok());
    EXPECT_THAT(MessageOf(queue.status()), AllOf(HasSubstr("[queue]"), Not(HasSubstr("hid"))));
  }
  const auto on_postgres = OpenQueue({.url = "postgresql://me:hidden@" + std::string(kNobody) + "/d"}, scratch.path());
  ASSERT_FALSE(on_postgres.ok());
  EXPECT_THAT(MessageOf(on_postgres.status()), AllOf(HasSubstr("[queue]"), Not(HasSubstr("hidden"))));
  for (const std::string& url : {"postgresql://me:hidden@" + std::string(kNobody) + "/d",
                                 "postgresql://me@" + std::string(kNobody) + "/d?password=hidden"}) {
    const auto catalog = OpenCatalog({.url = url}, scratch.path());
    ASSERT_FALSE(catalog.ok());
    EXPECT_THAT(MessageOf(catalog.status()), AllOf(HasSubstr("[catalog]"), Not(HasSubstr("hidden"))));
  }
  ::unsetenv("AWS_ACCESS_KEY_ID");
  const auto store = OpenObjects({.url = "s3://me:hidden@bucket/shop"}, scratch.path());
  ASSERT_FALSE(store.ok());
  EXPECT_THAT(MessageOf(store.status()), AllOf(HasSubstr("[objects]"), Not(HasSubstr("hidden"))));
}

TEST(Engines, AskForTheCredentialsThatAreMissing) {
  const ScratchFolder scratch;
  ::unsetenv("AWS_ACCESS_KEY_ID");
  ::unsetenv("AWS_SECRET_ACCESS_KEY");
  const auto store = OpenObjects({.url = "s3://bucket"}, scratch.path());
  EXPECT_THAT(MessageOf(store.status()), AllOf(HasSubstr("[objects]"), HasSubstr("AWS_ACCESS_KEY_ID")));
  const auto from_file = OpenObjects({.url = "s3://bucket", .credentials_file = "nowhere"}, scratch.path());
  EXPECT_THAT(MessageOf(from_file.status()), AllOf(HasSubstr("[objects]"), HasSubstr("nowhere")));
  const auto queue = OpenQueue({.url = "nats://a:4222", .user = "me", .password_file = "nowhere"}, scratch.path());
  EXPECT_THAT(MessageOf(queue.status()), AllOf(HasSubstr("[queue]"), HasSubstr("nowhere")));
}

}  // namespace
}  // namespace likeness
