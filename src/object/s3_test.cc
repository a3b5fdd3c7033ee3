// Signatures against the published examples, and what comes from outside: credentials, addresses, XML.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "base/bytes.h"
#include "base/file.h"
#include "object/s3_credentials.h"
#include "object/s3_sign.h"
#include "object/s3_xml.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

using testing::HasSubstr;
using testing::Not;

// "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk", Amazon S3 API
// Reference.
const S3Credentials kExample{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

std::string Signature(const S3Request& request) {
  const auto time = std::chrono::sys_days(std::chrono::year(2013) / 5 / 24);
  for (const auto& [name, value] : SignS3(request, kExample, "us-east-1", time)) {
    if (name == "authorization") return value.substr(value.find("Signature=") + 10);
  }
  return "";
}

TEST(S3Sign, AgreesWithThePublishedExamples) {
  const std::string host = "examplebucket.s3.amazonaws.com";
  EXPECT_EQ(Signature({.host = host, .path = "/test.txt", .headers = {{"range", "bytes=0-9"}}}),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(
      Signature({.method = "PUT",
                 .host = host,
                 .path = "/test$file.text",
                 .headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                 .payload_sha256 = Sha256Hex(AsBytes("Welcome to Amazon S3."))}),
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_EQ(Signature({.host = host, .query = {{"lifecycle", ""}}}),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(Signature({.host = host, .query = {{"prefix", "J"}, {"max-keys", "2"}}}),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(S3Sign, EncodesAndSorts) {
  EXPECT_EQ(PercentEncode("a b/c+d~e%", true), "a%20b/c%2Bd~e%25");
  EXPECT_EQ(PercentEncode("/\xc3\xa4", false), "%2F%C3%A4");
  EXPECT_EQ(CanonicalQuery({{"uploads", ""}, {"a-b", "c d"}, {"a", "/"}}), "a=%2F&a-b=c%20d&uploads=");
  EXPECT_EQ(CanonicalQuery({}), "");
}

TEST(S3Xml, ReadsListings) {
  const auto page = ParseListing(
      "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\"><IsTruncated>true</IsTruncated><KeyCount>2</KeyCount>"
      "<Contents><Key>a&amp;b&lt;&#x41;&#66;&nope;</Key><Size>12</Size><ETag>&quot;e1&quot;</ETag></Contents>"
      "<Contents><Key>c</Key><Size>0</Size><ETag/></Contents></ListBucketResult>");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_TRUE(page->truncated);
  ASSERT_EQ(page->objects.size(), 2u);
  EXPECT_EQ(page->objects[0].key, "a&b<AB&nope;");
  EXPECT_EQ(page->objects[0].size, 12u);
  EXPECT_EQ(page->objects[0].etag, "e1");
  EXPECT_EQ(page->objects[1].key, "c");
  EXPECT_EQ(page->objects[1].etag, "");
}

TEST(S3Xml, RefusesWhatIsNoListing) {
  for (const char* text :
       {"", "<html>no</html>", "<ListBucketResult>", "<ListBucketResult><Contents></ListBucketResult",
        "<ListBucketResult><Contents><Key>a</Key><Size>x</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>"}) {
    EXPECT_TRUE(absl::IsDataLoss(ParseListing(text).status())) << text;
  }
  const std::string good = "<ListBucketResult><Contents><Key>k</Key><Size>1</Size></Contents></ListBucketResult>";
  for (size_t cut = 0; cut < good.size(); ++cut) (void)ParseListing(good.substr(0, cut));  // ends, and reads no further
  EXPECT_EQ(XmlText("<Codes>no</Codes><Code>Yes</Code>", "Code"), "Yes");
  EXPECT_EQ(XmlText("<Code", "Code"), "");
}

TEST(S3Credentials, ComeFromAFile) {
  const ScratchFolder scratch;
  const std::filesystem::path file = scratch.path() / "credentials";
  const auto read = [&](std::string_view text, std::string_view section = "default") {
    EXPECT_TRUE(WriteFileAtomic(file, AsBytes(text)).ok());
    std::filesystem::permissions(file, std::filesystem::perms::owner_read);
    return ReadS3Credentials(file, section);
  };
  auto credentials = read(
      "# mine\n[other]\naccess_key = o\nsecret_key = p\n[default]\naws_access_key_id = me\r\n"
      " aws_secret_access_key=s/e+c=ret \naws_session_token = t\n");
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  EXPECT_EQ(credentials->access_key, "me");
  EXPECT_EQ(credentials->secret_key, "s/e+c=ret");
  EXPECT_EQ(credentials->session_token, "t");
  EXPECT_EQ(read("[other]\naccess_key = o\nsecret_key = p\n", "other")->access_key, "o");
  EXPECT_EQ(read("access_key = o\nsecret_key = p\n")->secret_key, "p");

  EXPECT_THAT(MessageOf(read("[x]\n", "y").status()), HasSubstr("has no section [y]"));
  EXPECT_THAT(MessageOf(read("access_key = o\n").status()), HasSubstr("no aws_secret_access_key"));
  EXPECT_THAT(MessageOf(read("secret_key = hush\n").status()), HasSubstr("no aws_access_key_id"));
  EXPECT_THAT(MessageOf(read("access_key = a b\nsecret_key = hush\n").status()), Not(HasSubstr("hush")));
  std::filesystem::permissions(file, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  EXPECT_THAT(MessageOf(ReadS3Credentials(file).status()), HasSubstr("can be read by everybody"));
  EXPECT_THAT(MessageOf(ReadS3Credentials(scratch.path() / "none").status()), HasSubstr("does not exist"));
}

TEST(S3Credentials, ComeFromTheEnvironment) {
  ::setenv("AWS_ACCESS_KEY_ID", "me", 1);
  ::unsetenv("AWS_SECRET_ACCESS_KEY");
  ::unsetenv("AWS_SESSION_TOKEN");
  EXPECT_THAT(MessageOf(S3CredentialsFromEnvironment().status()), HasSubstr("AWS_SECRET_ACCESS_KEY is not set"));
  ::setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
  EXPECT_EQ(S3CredentialsFromEnvironment()->secret_key, "hush");
  ::unsetenv("AWS_ACCESS_KEY_ID");
  EXPECT_THAT(MessageOf(S3CredentialsFromEnvironment().status()), HasSubstr("AWS_ACCESS_KEY_ID is not set"));
  ::unsetenv("AWS_SECRET_ACCESS_KEY");
}

TEST(S3Url, IsABucketAndAPrefix) {
  EXPECT_EQ(ParseS3Url("s3://likeness")->bucket, "likeness");
  EXPECT_EQ(ParseS3Url("s3://likeness/")->prefix, "");
  EXPECT_EQ(ParseS3Url("s3://my-bucket.1/a/b/")->prefix, "a/b");
  for (const char* url : {"", "likeness", "http://likeness", "s3://", "s3://ab", "s3:///a", "s3://a b c", "s3://abc//d",
                          "s3://abc/../d", "s3://abc/d\n"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseS3Url(url).status())) << url;
  }
}

}  // namespace
}  // namespace likeness
