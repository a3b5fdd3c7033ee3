#include "serve/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "serve/fake_backend.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;

// A connection that sends what it is told, when it is told.
class RawClient {
 public:
  explicit RawClient(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    timeval limit{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool Send(std::string_view text) {
    return connected_ && send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  // What the server sends until it closes, or until `until` has come.
  std::string Receive(std::string_view until = {}) {
    std::string all;
    char buffer[4096];
    while (until.empty() || all.find(until) == all.npos) {
      const ssize_t size = recv(fd_, buffer, sizeof(buffer), 0);
      if (size <= 0) break;
      all.append(buffer, static_cast<size_t>(size));
    }
    return all;
  }

 private:
  int fd_;
  bool connected_ = false;
};

class HttpServerTest : public testing::Test {
 protected:
  void Start(HttpServerOptions options = {}, ApiOptions api_options = {}) {
    options.port = 0;
    api_ = std::make_unique<Api>(backend_, std::move(api_options));
    auto server = HttpServer::Start(*api_, options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    host_ = "Host: 127.0.0.1:" + std::to_string(server_->port()) + "\r\n";
  }
  httplib::Client Client() { return httplib::Client("127.0.0.1", server_->port()); }

  FakeBackend backend_;
  Signature shoe_ = backend_.Add("a red shoe", "jpeg", "a red shoe");
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpServer> server_;
  std::string host_;
};

TEST_F(HttpServerTest, AnswersAndKeepsTheConnection) {
  Start();
  auto client = Client();
  client.set_keep_alive(true);
  for (int i = 0; i < 50; ++i) {
    const auto health = client.Get("/healthz");
    ASSERT_TRUE(health);
    EXPECT_EQ(health->body, R"({"status":"ok"})");
  }
  const auto answer = client.Post("/v1/search?k=1", std::string(300'000, 'x'), "image/jpeg");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(backend_.last().image.size(), 300'000U);
  const auto form = client.Post(
      "/v1/search",
      httplib::MultipartFormDataItems{{"image", "picture", "a.jpg", "image/jpeg"}, {"request", R"({"k":2})", "", ""}});
  ASSERT_TRUE(form);
  EXPECT_EQ(form->status, 200) << form->body;
  EXPECT_EQ(backend_.last().k, 2U);
}

TEST_F(HttpServerTest, HeadHasTheLengthAndNoBody) {
  Start();
  RawClient client(server_->port());
  client.Send("HEAD /healthz HTTP/1.1\r\n" + host_ + "Connection: close\r\n\r\n");
  const std::string answer = client.Receive();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 15\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrder) {
  Start();
  RawClient client(server_->port());
  const std::string get = "GET /healthz HTTP/1.1\r\n" + host_;
  client.Send(get + "\r\nGET /nothing HTTP/1.1\r\n" + host_ + "\r\n" + get + "Connection: close\r\n\r\n");
  const std::string answer = client.Receive();
  const size_t missing = answer.find("404 Not Found");
  EXPECT_LT(answer.find("200 OK"), missing);
  EXPECT_LT(missing, answer.rfind("200 OK"));
}

TEST_F(HttpServerTest, BodyBeyondTheLimitIsRefusedUnread) {
  HttpServerOptions options;
  options.limits.body_bytes = 1 << 20;
  Start(options);
  RawClient client(server_->port());
  client.Send("POST /v1/search HTTP/1.1\r\n" + host_ +
              "Content-Type: image/png\r\nContent-Length: 9000000000\r\n\r\nxxx");
  EXPECT_THAT(client.Receive(), AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("resource_exhausted"), HasSubstr("1 MiB")));
  const auto sent = Client().Post("/v1/search", std::string(2 << 20, 'x'), "image/png");
  if (sent) {
    EXPECT_EQ(sent->status, 413);
  }
  EXPECT_EQ(backend_.searches(), 0);
}

TEST_F(HttpServerTest, ClientThatAsksBeforeSendingIsTold) {
  Start();
  RawClient client(server_->port());
  client.Send("POST /v1/search HTTP/1.1\r\n" + host_ +
              "Content-Type: image/png\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.Receive("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
  client.Send("abc");
  EXPECT_THAT(client.Receive(), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, SearchesBeyondTheLimitAreSentAwayAndTheRestStillAnswers) {
  ApiOptions api_options;
  api_options.searches = {1, 1, milliseconds(200)};
  Start({}, api_options);
  backend_.Hold();
  std::thread first([&] { EXPECT_EQ(Client().Post("/v1/search", "x", "image/png")->status, 200); });
  while (backend_.searches() == 0) std::this_thread::sleep_for(milliseconds(1));
  std::vector<std::thread> others;
  std::atomic<int> busy = 0;
  for (int i = 0; i < 30; ++i) {
    others.emplace_back([&] {
      const auto answer = Client().Post("/v1/search", "x", "image/png");
      if (answer && answer->status == 503 && answer->get_header_value("Retry-After") == "1") ++busy;
    });
  }
  const Stopwatch watch;
  EXPECT_EQ(Client().Get("/healthz")->status, 200);
  for (std::thread& other : others) other.join();
  EXPECT_EQ(busy, 30);
  EXPECT_LT(watch.Milliseconds(), 5000);
  backend_.Release();
  first.join();
  EXPECT_THAT(Client().Get("/metrics")->body, HasSubstr(R"(likeness_refused_total{what="searches"} 30)"));
}

// Clients that do not send a body before its head was acknowledged are not kept waiting for that: 40 ms each time.
TEST_F(HttpServerTest, AHeadIsAcknowledgedBeforeItsBodyHasCome) {
  Start();
  RawClient client(server_->port());
  double least = 1e9;
  for (int i = 0; i < 12; ++i) {
    const Stopwatch watch;
    client.Send("POST /v1/search HTTP/1.1\r\n" + host_ + "Content-Type: image/png\r\nContent-Length: 4\r\n\r\n");
    client.Send("body");
    EXPECT_THAT(client.Receive("\"ms\""), HasSubstr("HTTP/1.1 200"));
    if (i > 4) least = std::min(least, watch.Milliseconds());  // the system itself is quick at first
  }
  EXPECT_LT(least, 30);
}

TEST_F(HttpServerTest, SlowClientsDoNotKeepOthersOut) {
  HttpServerOptions options;
  options.connections = 40;
  options.head_time = options.stall_time = std::chrono::minutes(1);  // so that nobody gets in because those are cut off
  Start(options);
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(std::make_unique<RawClient>(server_->port()));
    slow.back()->Send(i % 2 == 0 ? "POST /v1/search HTTP/1.1\r\n" + host_ + "Content-Length: 100000\r\n\r\nhalf a body"
                                 : std::string("GET /healthz HTTP/1.1\r\nX-Slow: "));
  }
  const Stopwatch watch;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Client().Get("/healthz")->status, 200);
  EXPECT_LT(watch.Milliseconds(), 30'000);
}

TEST_F(HttpServerTest, SlowClientsAreCutOff) {
  HttpServerOptions options;
  options.head_time = milliseconds(300);
  options.stall_time = milliseconds(300);
  options.idle_time = milliseconds(600);
  Start(options);
  // A byte every now and then does not help a head.
  RawClient head(server_->port());
  const Stopwatch watch;
  head.Send("GET /healthz HTTP/1.1\r\n");
  for (int i = 0; i < 20 && head.Send("X"); ++i) std::this_thread::sleep_for(milliseconds(50));
  EXPECT_THAT(head.Receive(), AnyOf(StartsWith("HTTP/1.1 408"), testing::IsEmpty()));
  RawClient body(server_->port());
  body.Send("POST /v1/search HTTP/1.1\r\n" + host_ + "Content-Length: 100\r\n\r\nhalf");
  EXPECT_THAT(body.Receive(), AllOf(StartsWith("HTTP/1.1 408"), HasSubstr("deadline_exceeded")));
  RawClient idle(server_->port());
  EXPECT_EQ(idle.Receive(), "");
  EXPECT_LT(watch.Milliseconds(), 8000);
}

TEST_F(HttpServerTest, ReaderThatDoesNotReadIsCutOff) {
  HttpServerOptions options;
  options.stall_time = milliseconds(300);
  options.buffered_bytes = 40 << 20;
  Start(options);
  const Signature large = backend_.Add(std::string(30 << 20, 'p'), "png", "large");
  RawClient lazy(server_->port());
  const std::string target = "GET /v1/images/" + large.Hex() + "/pixels HTTP/1.1\r\n" + host_ + "\r\n";
  lazy.Send(target);
  std::this_thread::sleep_for(milliseconds(150));
  // The first answer is waiting in memory, so there is no room for another.
  RawClient second(server_->port());
  second.Send(target);
  EXPECT_THAT(second.Receive("unavailable"), StartsWith("HTTP/1.1 503"));
  std::this_thread::sleep_for(milliseconds(600));
  EXPECT_EQ(Client().Get("/v1/images/" + large.Hex() + "/pixels")->body.size(), size_t{30} << 20);
}

TEST_F(HttpServerTest, BrokenRequestIsAnsweredAndClosed) {
  Start();
  RawClient client(server_->port());
  client.Send("\x16\x03\x01\x02 hello\r\n\r\n");
  EXPECT_THAT(client.Receive(), AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("invalid_argument"), HasSubstr("nosniff")));
}

TEST_F(HttpServerTest, ForeignNamesAreRefusedOnLoopback) {
  Start();
  EXPECT_EQ(Client().Get("/healthz", {{"Host", "evil.example"}})->status, 400);
  EXPECT_EQ(Client().Get("/healthz", {{"Host", "localhost:" + std::to_string(server_->port())}})->status, 200);
}

TEST_F(HttpServerTest, BeyondLoopbackATokenIsNeeded) {
  Api open(backend_, ApiOptions());
  HttpServerOptions options;
  options.host = "0.0.0.0";
  options.port = 0;
  EXPECT_TRUE(absl::IsFailedPrecondition(HttpServer::Start(open, options).status()));
  options.host = "127.evil.example";
  EXPECT_TRUE(absl::IsInvalidArgument(HttpServer::Start(open, options).status()));
}

TEST_F(HttpServerTest, TakenPortIsAnError) {
  Start();
  Api other(backend_, ApiOptions());
  HttpServerOptions options;
  options.port = server_->port();
  EXPECT_TRUE(absl::IsAlreadyExists(HttpServer::Start(other, options).status()));
}

TEST_F(HttpServerTest, StopFinishesWhatIsInFlight) {
  Start();
  backend_.Hold();
  std::thread client([&] {
    const auto answer = Client().Post("/v1/search", "x", "image/png");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
  });
  while (backend_.searches() == 0) std::this_thread::sleep_for(milliseconds(1));
  RawClient idle(server_->port());
  std::thread stop([&] { server_->Stop(); });
  EXPECT_EQ(idle.Receive(), "");
  backend_.Release();
  stop.join();
  client.join();
  EXPECT_FALSE(Client().Get("/healthz"));
}

}  // namespace
}  // namespace likeness
