// Credentials that a real S3 gateway, PostgreSQL or NATS does not accept: the home does not open, and one sentence says
// within five seconds what to change. No secret is in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/clock.h"
#include "base/file.h"
#include "pipeline/home.h"
#include "support/engines.h"
#include "support/nats_server.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kSecret = "wr0ng-s3cret";

class Credentials : public testing::Test {
 protected:
  // Writes a file of the home that its owner alone can read.
  void Secret(const std::string& name, const std::string& content) const {
    ASSERT_TRUE(WriteFileAtomic(home_ / name, AsBytes(content)).ok());
    std::filesystem::permissions(home_ / name, std::filesystem::perms(0600));
  }
  // What opening a home with that likeness.toml says.
  std::string Said(const std::string& toml) const {
    EXPECT_TRUE(WriteFileAtomic(home_ / "likeness.toml", AsBytes(toml)).ok());
    const Stopwatch watch;
    const absl::Status status = Home::Open(home_, true).status();
    EXPECT_LT(watch.Milliseconds(), 5500);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    const std::string message = MessageOf(status);
    EXPECT_THAT(message, AllOf(Not(HasSubstr("\n")), Not(HasSubstr(kSecret)), Not(HasSubstr("r1ght"))));
    return message;
  }

  const ScratchFolder scratch_;
  const std::filesystem::path home_ = scratch_.path();
};

TEST_F(Credentials, OfS3) {
  LIKENESS_REQUIRE_ENGINE("LIKENESS_TEST_S3_ENDPOINT");
  const std::string access = *EngineSetting("LIKENESS_TEST_S3_ACCESS_KEY");
  const std::string section = "[objects]\nurl = \"s3://" + *EngineSetting("LIKENESS_TEST_S3_BUCKET") +
                              "/credentials\"\nendpoint = \"" + *EngineSetting("LIKENESS_TEST_S3_ENDPOINT") + "\"\n";
  for (const std::string& key : {access, std::string("NOBODY")}) {
    ::setenv("AWS_ACCESS_KEY_ID", key.c_str(), 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", kSecret, 1);
    EXPECT_THAT(Said(section), AllOf(HasSubstr("[objects]"), HasSubstr("does not accept the credentials"),
                                     HasSubstr("correct the access key and the secret key in the environment "
                                               "variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")));
  }
  ::unsetenv("AWS_ACCESS_KEY_ID");
  ::unsetenv("AWS_SECRET_ACCESS_KEY");
  Secret("keys", "aws_access_key_id = " + access + "\naws_secret_access_key = " + kSecret + "\n");
  EXPECT_THAT(Said(section + "credentials_file = \"keys\"\n"),
              AllOf(HasSubstr("[objects]"),
                    HasSubstr("correct the access key and the secret key in the file " + (home_ / "keys").string())));
}

TEST_F(Credentials, OfPostgres) {
  LIKENESS_REQUIRE_ENGINE("LIKENESS_TEST_POSTGRES_URL");
  std::string url = *EngineSetting("LIKENESS_TEST_POSTGRES_URL");
  const size_t colon = url.find(':', url.find("//") + 2), at = url.find('@');
  if (colon > at) GTEST_SKIP() << "this server asks for no password";
  url.erase(colon, at - colon);
  ::setenv("PGPASSWORD", kSecret, 1);
  for (const std::string section : {"catalog", "queue"}) {
    EXPECT_THAT(Said("[" + section + "]\nurl = \"" + url + "\"\n"),
                AllOf(HasSubstr("[" + section + "]"), HasSubstr("PostgreSQL refuses the password"),
                      HasSubstr("PGPASSFILE"), HasSubstr("PGPASSWORD")));
  }
  std::string nobody = url;
  nobody.replace(nobody.find("//") + 2, colon - nobody.find("//") - 2, "likeness_nobody");
  EXPECT_THAT(Said("[catalog]\nurl = \"" + nobody + "\"\n"),
              AllOf(HasSubstr("[catalog]"), HasSubstr("likeness_nobody")));
  ::unsetenv("PGPASSWORD");
  EXPECT_THAT(Said("[catalog]\nurl = \"" + url + "\"\n"), AllOf(HasSubstr("[catalog]"), HasSubstr("PGPASSFILE")));
  // A password in the address is refused before it is sent anywhere.
  std::string with = url;
  with.insert(with.find('@'), std::string(":") + kSecret);
  EXPECT_TRUE(WriteFileAtomic(home_ / "likeness.toml", AsBytes("[catalog]\nurl = \"" + with + "\"\n")).ok());
  const absl::Status status = Home::Open(home_, true).status();
  EXPECT_THAT(MessageOf(status), AllOf(HasSubstr("[catalog]"), HasSubstr("PGPASSFILE"), Not(HasSubstr(kSecret))));
}

TEST_F(Credentials, OfNats) {
  if (std::system("command -v nats-server >/dev/null") != 0) GTEST_SKIP() << "no nats-server";
  const ScratchFolder folder;
  const std::string jetstream = "jetstream { store_dir: \"" + folder.path().string() + "\" }\n";
  Secret("password", std::string(kSecret) + "\n");
  {
    const OwnNatsServer server(jetstream + "authorization { user: likeness, password: \"r1ght-s3cret\" }");
    const std::string section = "[queue]\nurl = \"" + server.url() + "\"\nreplicas = 1\n";
    EXPECT_THAT(Said(section), AllOf(HasSubstr("[queue]"), HasSubstr("refuses the credentials"),
                                     HasSubstr("give a user and a password file")));
    EXPECT_THAT(
        Said(section + "user = \"likeness\"\npassword_file = \"password\"\n"),
        AllOf(HasSubstr("[queue]"), HasSubstr("correct the user \"likeness\" and the password in the password file")));
  }
  const OwnNatsServer server(jetstream + "authorization { token: \"r1ght-s3cret\" }");
  EXPECT_THAT(Said("[queue]\nurl = \"" + server.url() + "\"\nreplicas = 1\ntoken_file = \"password\"\n"),
              AllOf(HasSubstr("[queue]"), HasSubstr("correct the token in the token file")));
}

}  // namespace
}  // namespace likeness
