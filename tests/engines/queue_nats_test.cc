// The queue on a real cluster of NATS servers.
#include <arpa/inet.h>
#include <fcntl.h>
#include <nats/nats.h>
#include <sys/socket.h>

#include <fstream>
#include <map>

#include "base/clock.h"
#include "engines/queue_conformance.h"
#include "engines/queue_cost.h"
#include "queue/nats_queue.h"
#include "support/engines.h"
#include "support/nats_cluster.h"
#include "support/nats_server.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;
using testing::SizeIs;

constexpr const char* kUrls = "LIKENESS_TEST_NATS_URLS";

std::vector<std::string> Urls() {
  std::vector<std::string> urls(1);
  for (const char c : EngineSetting(kUrls).value_or("")) {
    if (c == ',') {
      urls.emplace_back();
    } else {
      urls.back() += c;
    }
  }
  return urls;
}

NatsOptions Options(const std::string& name, int replicas = 3) {
  NatsOptions options;
  options.urls = Urls();
  options.name = name;
  options.replicas = replicas;
  options.open_timeout = std::chrono::seconds(20);  // the test before may have killed a server
  return options;
}

// A look at the servers past the queue.
class Servers {
 public:
  Servers() {
    natsOptions* options = nullptr;
    const std::vector<std::string> urls = Urls();
    std::vector<const char*> pointers;
    for (const std::string& url : urls) pointers.push_back(url.c_str());
    natsOptions_Create(&options);
    natsOptions_SetServers(options, pointers.data(), static_cast<int>(pointers.size()));
    natsConnection_Connect(&connection_, options);
    natsOptions_Destroy(options);
    natsConnection_JetStream(&jetstream_, connection_, nullptr);
  }
  ~Servers() {
    jsCtx_Destroy(jetstream_);
    natsConnection_Destroy(connection_);
  }
  void Drop(const std::string& queue) const {
    for (const char* stream : {"-tasks", "-leases", "-done"}) {
      js_DeleteStream(jetstream_, (queue + stream).c_str(), nullptr, nullptr);
    }
  }
  // Puts the last message of a subject again, with `to` in the place of `from`.
  bool Change(const std::string& queue, const std::string& stream, const std::string& subject, const std::string& from,
              const std::string& to) const {
    natsMsg* message = nullptr;
    if (js_GetLastMsg(&message, jetstream_, (queue + stream).c_str(), (queue + subject).c_str(), nullptr, nullptr) !=
        NATS_OK) {
      return false;
    }
    std::string text(natsMsg_GetData(message), static_cast<size_t>(natsMsg_GetDataLength(message)));
    natsMsg_Destroy(message);
    const size_t at = text.find(from);
    if (at == std::string::npos) return false;
    text.replace(at, from.size(), to);
    return js_Publish(nullptr, jetstream_, (queue + subject).c_str(), text.data(), static_cast<int>(text.size()),
                      nullptr, nullptr) == NATS_OK;
  }
  // From now on ids of messages are known for a tenth of a second.
  void ForgetIds(const std::string& queue) const {
    jsStreamInfo* info = nullptr;
    ASSERT_EQ(js_GetStreamInfo(&info, jetstream_, (queue + "-tasks").c_str(), nullptr, nullptr), NATS_OK);
    info->Config->Duplicates = 100'000'000;
    EXPECT_EQ(js_UpdateStream(nullptr, jetstream_, info->Config, nullptr, nullptr), NATS_OK);
    jsStreamInfo_Destroy(info);
  }
  // The id of a task's message, or "".
  std::string PublicationOf(const std::string& queue, const std::string& task) const {
    natsMsg* message = nullptr;
    const char* id = nullptr;
    std::string found;
    if (js_GetLastMsg(&message, jetstream_, (queue + "-tasks").c_str(), (queue + ".task." + task).c_str(), nullptr,
                      nullptr) == NATS_OK &&
        natsMsgHeader_Get(message, "Nats-Msg-Id", &id) == NATS_OK) {
      found = id;
    }
    natsMsg_Destroy(message);
    return found;
  }
  bool PublishAgain(const std::string& queue, const std::string& task, const std::string& id) const {
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.MsgId = id.c_str();
    return js_Publish(nullptr, jetstream_, (queue + ".task." + task).c_str(), "", 0, &options, nullptr) == NATS_OK;
  }

 private:
  natsConnection* connection_ = nullptr;
  jsCtx* jetstream_ = nullptr;
};

QueueEngine Nats(int replicas) {
  return {.name = "nats" + std::to_string(replicas),
          .open = [replicas](const std::string& name) { return OpenNatsQueue(Options(name, replicas)); },
          .drop = [](const std::string& name) { Servers().Drop(name); },
          .missing = [] { return !EngineSetting(kUrls).has_value(); }};
}

INSTANTIATE_TEST_SUITE_P(Nats, QueueConformance, testing::Values(Nats(3), Nats(1)));

std::string NewName() { return "t" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()); }

// Planner and workers go on while the server dies that leads the tasks, then the one that leads the leases.
TEST(NatsQueue, LeadersThatAreKilledLoseAndDoubleNothing) {
  LIKENESS_REQUIRE_ENGINE(kUrls);
  constexpr int kTasks = 400, kWorkers = 3, kKills = 2;
  const std::string name = NewName();
  NatsOptions options = Options(name);
  options.call_timeout = std::chrono::minutes(1);  // on a busy machine several elections may fail before one succeeds
  const Servers servers;
  std::mutex mutex;
  std::map<std::string, int> delivered;
  std::map<std::string, std::vector<std::string>> acknowledged;  // the leases
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int w = 0; w < kWorkers; ++w) {
    threads.emplace_back([&, w] {
      auto queue = OpenNatsQueue(options);
      ASSERT_TRUE(queue.ok()) << queue.status();
      while (!stop) {
        const auto lease = (*queue)->Pull("worker" + std::to_string(w), std::chrono::seconds(3), milliseconds(300));
        ASSERT_TRUE(lease.ok()) << lease.status();
        if (!lease->has_value()) continue;
        std::this_thread::sleep_for(milliseconds(20));
        const absl::Status done = (*queue)->Acknowledge(**lease);
        const std::lock_guard lock(mutex);
        ++delivered[(*lease)->task.id];
        if (done.ok()) acknowledged[(*lease)->task.id].push_back((*lease)->token);
        EXPECT_TRUE(done.ok() || absl::IsFailedPrecondition(done)) << done;
      }
    });
  }
  const auto queue = OpenNatsQueue(options);
  ASSERT_TRUE(queue.ok()) << queue.status();
  std::thread planner([&] {
    for (int i = 0; i < kTasks; ++i) {
      const auto added = (*queue)->Publish(std::vector<Task>{{"t/" + std::to_string(i), "payload"}});
      ASSERT_TRUE(added.ok()) << added.status();
      std::this_thread::sleep_for(milliseconds(15));
    }
  });
  for (const std::string stream : {"-tasks", "-leases"}) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    const std::string leader = NatsLeader(*EngineSetting(kUrls), name + stream);
    std::printf("killing server %s, which leads %s\n", leader.c_str(), stream.c_str());
    EXPECT_TRUE(Engines("kill nats " + leader));
    std::this_thread::sleep_for(std::chrono::seconds(1));
    // It waits until all that the server holds is current again, lest the next kill leave one good copy of three.
    EXPECT_TRUE(Engines("start nats"));
  }
  planner.join();
  const Deadline deadline = Deadline::After(std::chrono::minutes(3));
  for (QueueStats stats; !deadline.Passed(); std::this_thread::sleep_for(milliseconds(100))) {
    const auto asked = (*queue)->Stats();
    if (asked.ok() && asked->waiting + asked->leased == 0) break;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  const auto stats = (*queue)->Stats();
  EXPECT_TRUE(stats.ok()) << stats.status();
  if (stats.ok()) {
    EXPECT_EQ(stats->waiting + stats->leased, 0u);
  }
  EXPECT_EQ(delivered.size(), static_cast<size_t>(kTasks)) << "each was delivered";
  int again = 0;
  for (const auto& [id, times] : delivered) again += times - 1;
  for (const auto& [id, leases] : acknowledged) EXPECT_THAT(leases, SizeIs(1)) << id;
  EXPECT_GE(static_cast<int>(acknowledged.size()), kTasks - kWorkers * kKills)
      << "but for answers that died with a leader";
  std::printf("%d of %d tasks were delivered again\n", again, kTasks);
  servers.Drop(name);
}

// A worker that is killed between writing down that its task is done and taking the task out of the stream.
TEST(NatsQueue, ATaskThatIsDoneIsNotDeliveredAgain) {
  LIKENESS_REQUIRE_ENGINE(kUrls);
  const std::string name = NewName();
  const Servers servers;
  const auto queue = OpenNatsQueue(Options(name));
  ASSERT_TRUE(queue.ok()) << queue.status();
  ASSERT_TRUE((*queue)->Publish(std::vector<Task>{{"a", ""}}).ok());
  const auto lease = (*queue)->Pull("killed", milliseconds(500), std::chrono::seconds(5));
  ASSERT_TRUE(lease.ok() && lease->has_value()) << lease.status();
  ASSERT_TRUE(servers.Change(name, "-leases", ".lease.a", "\"leased\"", "\"done\""));
  EXPECT_EQ((*queue)->Stats()->waiting, 1u) << "still there";
  const auto again = (*queue)->Pull("next", std::chrono::minutes(1), std::chrono::seconds(2));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->has_value());
  EXPECT_EQ((*queue)->Stats()->waiting + (*queue)->Stats()->leased, 0u);
  EXPECT_EQ(*(*queue)->Publish(std::vector<Task>{{"a", ""}}), 1u);
  servers.Drop(name);
}

// Servers that were away may store a message again that was published, done and deleted meanwhile, and their consumer
// may deliver one that is deleted elsewhere. The record of what is done outlives the task for that.
TEST(NatsQueue, APublicationThatIsStoredAgainIsNotDoneAgain) {
  LIKENESS_REQUIRE_ENGINE(kUrls);
  const std::string name = NewName();
  const Servers servers;
  const auto queue = OpenNatsQueue(Options(name));
  ASSERT_TRUE(queue.ok()) << queue.status();
  servers.ForgetIds(name);
  ASSERT_TRUE((*queue)->Publish(std::vector<Task>{{"a", ""}}).ok());
  const std::string id = servers.PublicationOf(name, "a");
  EXPECT_FALSE(id.empty());
  const auto lease = (*queue)->Pull("one", std::chrono::minutes(1), std::chrono::seconds(5));
  ASSERT_TRUE(lease.ok() && lease->has_value()) << lease.status();
  ASSERT_EQ((*queue)->Acknowledge(**lease), absl::OkStatus());
  EXPECT_EQ((*queue)->Stats()->waiting + (*queue)->Stats()->leased, 0u);
  std::this_thread::sleep_for(milliseconds(500));
  ASSERT_TRUE(servers.PublishAgain(name, "a", id));
  EXPECT_EQ((*queue)->Stats()->waiting, 1u) << "the servers have it again";
  const auto again = (*queue)->Pull("two", std::chrono::minutes(1), std::chrono::seconds(2));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->has_value());
  EXPECT_EQ((*queue)->Stats()->waiting, 0u);

  EXPECT_EQ(*(*queue)->Publish(std::vector<Task>{{"a", ""}}), 1u);
  const auto anew = (*queue)->Pull("two", std::chrono::minutes(1), std::chrono::seconds(5));
  ASSERT_TRUE(anew.ok() && anew->has_value()) << "another call is another task " << anew.status();
  EXPECT_EQ((**anew).attempt, 1u);
  EXPECT_EQ((*queue)->Acknowledge(**anew), absl::OkStatus());
  servers.Drop(name);
}

TEST(NatsQueue, APullDoesNotGrowWithWhatWaits) {
  LIKENESS_REQUIRE_ENGINE(kUrls);
  const std::string name = NewName();
  const auto small = OpenNatsQueue(Options(name + "small")), large = OpenNatsQueue(Options(name + "large"));
  ASSERT_TRUE(small.ok() && large.ok()) << small.status() << large.status();
  ExpectPullsThatDoNotGrow(**small, **large, 20'000);
  Servers().Drop(name + "small");
  Servers().Drop(name + "large");
}

// Opens, and holds it to five seconds.
absl::Status OpenWithin(NatsOptions options) {
  const Stopwatch watch;
  const auto queue = OpenNatsQueue(options);
  EXPECT_LT(watch.Milliseconds(), 5500);
  return queue.status();
}

MATCHER_P2(Fails, code, text, "") {
  *result_listener << arg;
  return arg.code() == code && std::string(arg.message()).find(text) != std::string::npos &&
         std::string(arg.message()).find("s3cret") == std::string::npos;
}

TEST(NatsQueueOpen, SaysWhatToDoWhereNobodyAnswers) {
  NatsOptions options;
  options.urls = {"nats://127.0.0.1:1"};
  EXPECT_THAT(OpenWithin(options), Fails(absl::StatusCode::kUnavailable, "start it, or correct the URL"));
  // Somebody who takes the connection and says nothing.
  const int silent = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(silent, reinterpret_cast<sockaddr*>(&address), size);
  ::listen(silent, 8);
  ::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string url = "nats://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  options.urls = {url, url + "/", "nats://127.0.0.1:1"};
  EXPECT_THAT(OpenWithin(options), Fails(absl::StatusCode::kUnavailable, url));
  ::close(silent);
}

TEST(NatsQueueOpen, SaysWhatToDoWithoutJetStream) {
  const OwnNatsServer server("");
  NatsOptions options;
  options.urls = {server.url()};
  EXPECT_THAT(OpenWithin(options), Fails(absl::StatusCode::kFailedPrecondition, "JetStream is off"));
}

TEST(NatsQueueOpen, SaysWhatToDoWithTooFewServers) {
  const ScratchFolder folder;
  const OwnNatsServer server("jetstream { store_dir: \"" + folder.path().string() + "\" }");
  NatsOptions options;
  options.urls = {server.url()};
  EXPECT_THAT(OpenWithin(options), Fails(absl::StatusCode::kFailedPrecondition, "too few NATS servers for 3"));
  options.replicas = 1;
  EXPECT_THAT(OpenWithin(options), Fails(absl::StatusCode::kOk, ""));
  EXPECT_THAT(OpenWithin(options), Fails(absl::StatusCode::kOk, "")) << "a second time";
}

TEST(NatsQueueOpen, SaysWhatToDoWithWrongCredentials) {
  const ScratchFolder folder;
  const std::string jetstream = "jetstream { store_dir: \"" + folder.path().string() + "\" }\n";
  {
    const OwnNatsServer server(jetstream + "authorization { user: likeness, password: \"r1ght-s3cret\" }");
    NatsOptions options;
    options.urls = {server.url()};
    options.replicas = 1;
    EXPECT_THAT(OpenWithin(options), Fails(absl::StatusCode::kFailedPrecondition, "refuses the credentials"));
    options.user = "likeness";
    options.password = "wr0ng-s3cret";
    EXPECT_THAT(OpenWithin(options), Fails(absl::StatusCode::kFailedPrecondition, "refuses the credentials"));
    options.password = "r1ght-s3cret";
    EXPECT_THAT(OpenWithin(options), Fails(absl::StatusCode::kOk, ""));
    options.user.clear();
    options.credentials_file = (folder.path() / "missing.creds").string();
    EXPECT_THAT(OpenWithin(options), Fails(absl::StatusCode::kFailedPrecondition, "missing.creds"));
  }
  const OwnNatsServer server(jetstream + "authorization { token: \"r1ght-s3cret\" }");
  NatsOptions options;
  options.urls = {server.url()};
  options.replicas = 1;
  options.token = "wr0ng-s3cret";
  EXPECT_THAT(OpenWithin(options), Fails(absl::StatusCode::kFailedPrecondition, "refuses the credentials"));
  options.token = "r1ght-s3cret";
  EXPECT_THAT(OpenWithin(options), Fails(absl::StatusCode::kOk, ""));
}

TEST(NatsQueueOpen, RefusesOptionsThatCannotBe) {
  const auto code = absl::StatusCode::kInvalidArgument;
  NatsOptions options;
  EXPECT_THAT(OpenWithin(options), Fails(code, "at least one URL"));
  options.urls = {"nats://user:s3cret@127.0.0.1:4222"};
  EXPECT_THAT(OpenWithin(options), Fails(code, "by themselves"));
  options.urls = {"http://127.0.0.1:4222"};
  EXPECT_THAT(OpenWithin(options), Fails(code, "nats://"));
  options.urls = {"nats://127.0.0.1:4222"};
  options.name = "a.b";
  EXPECT_THAT(OpenWithin(options), Fails(code, "a.b"));
  options.name = "a";
  options.replicas = 2;
  EXPECT_THAT(OpenWithin(options), Fails(code, "2 replicas"));
  options.replicas = 3;
  options.user = "u";
  options.token = "s3cret";
  EXPECT_THAT(OpenWithin(options), Fails(code, "only one of"));
}

TEST(NatsQueueOpen, RefusesAStreamOfOtherSettings) {
  LIKENESS_REQUIRE_ENGINE(kUrls);
  const std::string name = NewName();
  EXPECT_THAT(OpenWithin(Options(name, 1)), Fails(absl::StatusCode::kOk, ""));
  EXPECT_THAT(OpenWithin(Options(name, 3)), Fails(absl::StatusCode::kFailedPrecondition, "other settings"));
  Servers().Drop(name);
}

}  // namespace
}  // namespace likeness
