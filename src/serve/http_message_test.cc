#include "serve/http_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace likeness {
namespace {

using State = RequestReader::State;
using testing::HasSubstr;

// Feeds `bytes` in pieces of `piece` bytes and returns the reader's state.
State FeedAll(RequestReader& reader, std::string_view bytes, size_t piece) {
  while (!bytes.empty() && reader.state() != State::kComplete && reader.state() != State::kFailed) {
    reader.Feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  return reader.state();
}

int FailureOf(std::string_view bytes, size_t piece = 1000) {
  RequestReader reader({});
  return FeedAll(reader, bytes, piece) == State::kFailed ? reader.error().status : 0;
}

TEST(RequestReaderTest, ReadsABodyHoweverItIsCut) {
  const std::string bytes =
      "POST /v1/search?k=1 HTTP/1.1\r\nHost: a\r\nX-Two:  words  \r\nContent-Length: 5\r\n\r\nhello";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    RequestReader reader({});
    ASSERT_EQ(FeedAll(reader, bytes, piece), State::kComplete) << piece;
    const auto request = reader.Take();
    EXPECT_EQ(request->message.method, "POST");
    EXPECT_EQ(request->message.target, "/v1/search?k=1");
    EXPECT_EQ(request->message.Header("x-two"), "words");
    EXPECT_EQ(request->message.body, "hello");
    EXPECT_TRUE(request->keep_alive);
    EXPECT_EQ(reader.state(), State::kIdle);
  }
}

TEST(RequestReaderTest, ReadsChunksHoweverTheyAreCut) {
  const std::string bytes =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: "
      "x\r\n\r\n";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    RequestReader reader({});
    ASSERT_EQ(FeedAll(reader, bytes, piece), State::kComplete) << piece;
    EXPECT_EQ(reader.Take()->message.body, "hello!");
  }
}

TEST(RequestReaderTest, ALastChunkMayComeByteByByte) {  // An assertion of Beast ended the process.
  for (const std::string body : {"0\r\n\r\n", "1\r\n!\r\n0\r\n\r\n", "5\r\nhello\r\n00\r\n\r\n"}) {
    const std::string bytes = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body;
    for (size_t piece = 1; piece <= bytes.size(); ++piece) {
      RequestReader reader({});
      EXPECT_EQ(FeedAll(reader, bytes, piece), State::kComplete) << body << " in pieces of " << piece;
    }
  }
}

TEST(RequestReaderTest, KeepsWhatIsAheadForTheNextRequest) {
  RequestReader reader({});
  const std::string get = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
  reader.Feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab" + get + get + "GET ");
  ASSERT_EQ(reader.state(), State::kComplete);
  EXPECT_EQ(reader.Take()->message.body, "ab");
  ASSERT_EQ(reader.state(), State::kComplete);
  EXPECT_EQ(reader.Take()->message.target, "/healthz");
  ASSERT_EQ(reader.state(), State::kComplete);
  reader.Take();
  EXPECT_EQ(reader.state(), State::kHead);
}

TEST(RequestReaderTest, RefusesWhatIsNoRequest) {
  EXPECT_EQ(FailureOf("\x16\x03\x01 this is TLS\r\n\r\n"), 400);
  EXPECT_EQ(FailureOf("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(FailureOf("GET / HTTP/1.1\r\n\r\n"), 400);                        // no Host
  EXPECT_EQ(FailureOf("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);  // two
  EXPECT_EQ(FailureOf("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400);
  EXPECT_EQ(FailureOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"), 400);
  EXPECT_EQ(FailureOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400);
  EXPECT_EQ(FailureOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(FailureOf("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 400);
  EXPECT_EQ(FailureOf("POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"), 415);
}

TEST(RequestReaderTest, HeadIsBounded) {
  EXPECT_EQ(FailureOf("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(100'000, 'a')), 400);
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 20'000; ++i) many += "a: b\r\n";
  EXPECT_EQ(FailureOf(many), 400);
  EXPECT_EQ(FailureOf("GET /" + std::string(100'000, 'a')), 400);
}

TEST(RequestReaderTest, BodyIsBounded) {
  RequestLimits limits;
  limits.body_bytes = 1000;
  {
    // By what it says, before any of it is here.
    RequestReader reader(limits);
    reader.Feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n");
    ASSERT_EQ(reader.state(), State::kFailed);
    EXPECT_EQ(reader.error().status, 413);
  }
  {
    // The same with much of the body behind the head: it was once called a line that is too long.
    RequestReader reader(limits);
    reader.Feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + std::string(60'000, 'x'));
    ASSERT_EQ(reader.state(), State::kFailed);
    EXPECT_EQ(reader.error().status, 413);
  }
  {
    // By what it turns out to be: many small chunks.
    RequestReader reader(limits);
    std::string bytes = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 300; ++i) bytes += "4\r\nabcd\r\n";
    ASSERT_EQ(FeedAll(reader, bytes, 100), State::kFailed);
    EXPECT_EQ(reader.error().status, 413);
  }
  {
    // A chunk header without an end.
    RequestReader reader(limits);
    const std::string bytes =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;" + std::string(1'000'000, 'x');
    ASSERT_EQ(FeedAll(reader, bytes, 10'000), State::kFailed);
    EXPECT_LT(reader.buffered(), 200'000U);
  }
}

TEST(RequestReaderTest, MemoryFollowsWhatHasArrived) {
  RequestReader reader({});
  reader.Feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000000\r\n\r\n1234");
  EXPECT_EQ(reader.state(), State::kBody);
  EXPECT_LT(reader.buffered(), 10'000U);
}

TEST(RequestReaderTest, TellsOfAnExpectationOnce) {
  RequestReader reader({});
  reader.Feed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(reader.TakeExpectation());
  EXPECT_FALSE(reader.TakeExpectation());
}

TEST(RequestReaderTest, ReadsSoupWithoutHarm) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const std::string pieces[] = {"GET ",
                                "/",
                                " HTTP/1.1",
                                "\r\n",
                                "\n",
                                "Host: a",
                                "Content-Length: ",
                                "7",
                                "0",
                                "Transfer-Encoding: chunked",
                                ":",
                                " ",
                                "\r\n\r\n",
                                "a",
                                std::string(1, '\0'),
                                "\xFF"};
  for (int round = 0; round < 2000; ++round) {
    RequestReader reader({});
    for (int i = 0; i < 60 && reader.state() != State::kFailed; ++i) {
      if (reader.state() == State::kComplete) {
        reader.Take();
      } else {
        reader.Feed(pieces[random() % std::size(pieces)]);
      }
    }
    if (reader.state() == State::kFailed) {
      EXPECT_GE(reader.error().status, 400);
    }
  }
}

TEST(FormatHeadTest, ValuesCannotBreakTheHead) {
  const std::string head = FormatHead({200, "text/plain", {{"X", "a\r\nSet-Cookie: b"}}, "four"}, false);
  EXPECT_THAT(head, HasSubstr("X: a  Set-Cookie: b\r\n"));
  EXPECT_THAT(head, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_THAT(head, HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
}

}  // namespace
}  // namespace likeness
