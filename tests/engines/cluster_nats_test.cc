// Leaves that say where they are on real NATS servers: found when they come, forgotten when they die.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <nats/nats.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "base/clock.h"
#include "cluster/registry.h"
#include "support/engines.h"
#include "tests/cluster/processes.h"

namespace likeness {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::IsEmpty;

using testing::UnorderedElementsAre;

constexpr milliseconds kAlive{2000};

template <typename Condition>
bool Within(milliseconds time, const Condition& condition) {
  const Deadline deadline = Deadline::After(time);
  while (!condition()) {
    if (deadline.Passed()) return false;
    std::this_thread::sleep_for(milliseconds(50));
  }
  return true;
}

class ClusterOnNats : public testing::Test {
 protected:
  void SetUp() override {
    LIKENESS_REQUIRE_ENGINE("LIKENESS_TEST_NATS_URLS");
    urls_ = *EngineSetting("LIKENESS_TEST_NATS_URLS");
    static int number = 0;
    name_ = "cluster_" + std::to_string(::getpid()) + "_" + std::to_string(number++);
    options_.name = name_;
    for (size_t begin = 0; begin <= urls_.size();) {
      const size_t end = std::min(urls_.find(',', begin), urls_.size());
      options_.urls.push_back(urls_.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  void TearDown() override {
    natsConnection* connection = nullptr;
    jsCtx* jetstream = nullptr;
    if (!name_.empty() && natsConnection_ConnectTo(&connection, urls_.c_str()) == NATS_OK &&
        natsConnection_JetStream(&jetstream, connection, nullptr) == NATS_OK) {
      for (const char* stream : {"-tasks", "-leases", "-done"}) {
        js_DeleteStream(jetstream, (name_ + stream).c_str(), nullptr, nullptr);
      }
      js_DeleteKeyValue(jetstream, (name_ + "-leaves").c_str());
    }
    jsCtx_Destroy(jetstream);
    natsConnection_Destroy(connection);
  }

  std::string urls_, name_;
  NatsOptions options_;
};

TEST_F(ClusterOnNats, ALeafIsKnownWhileItLives) {
  const auto root = LeafRegistry::Open(options_, kAlive, "");
  ASSERT_TRUE(root.ok()) << root.status();
  EXPECT_THAT((*root)->Leaves(), IsEmpty());
  auto a = LeafRegistry::Open(options_, kAlive, "10.0.0.7:8485");
  const auto b = LeafRegistry::Open(options_, kAlive, "leaf-1.example:8485");
  ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
  const auto both = UnorderedElementsAre("10.0.0.7:8485", "leaf-1.example:8485");
  EXPECT_TRUE(Within(milliseconds(5000), [&] { return (*root)->Leaves().size() == 2; }));
  std::this_thread::sleep_for(2 * kAlive);
  EXPECT_THAT((*root)->Leaves(), both) << "longer than a key lives: its leaf puts it again";
  *a = nullptr;
  EXPECT_TRUE(Within(kAlive / 2 + milliseconds(500), [&] { return (*root)->Leaves().size() == 1; }))
      << "a leaf that ends is taken out at once";
  const auto other = LeafRegistry::Open(options_, 2 * kAlive, "");
  EXPECT_TRUE(absl::IsFailedPrecondition(other.status())) << other.status();
  EXPECT_THAT(MessageOf(other.status()), HasSubstr("alive_seconds"));
}

TEST_F(ClusterOnNats, ALeafThatWasKilledExpiresAndANewOneIsFound) {
  SmallCollection collection("[queue]\nurl = \"" + urls_ + "\"\nname = \"" + name_ + "\"\n");
  collection.Switch(collection.AddRelease(0, 80));
  collection.SetCluster("[cluster]\ndiscovery = \"nats\"\nalive_seconds = 2\n");
  const auto first = StartLeaf(collection, 2, 0);
  auto second = StartLeaf(collection, 2, 1);
  const auto root = StartFace(collection, "root");
  const json query = {{"k", 100}, {"signature", SmallCollection::SignatureOf(3)}};
  const auto searched = [&] { return Search(root->port(), query)["coverage"]["searched"]; };
  EXPECT_TRUE(Within(milliseconds(5000), [&] { return searched() == 80; }));

  second->process().Signal(SIGKILL);
  const json in_part = Search(root->port(), query);
  EXPECT_EQ(in_part["coverage"]["searched"], 40);
  const std::string gone = second->address();
  httplib::Client client("127.0.0.1", root->port());
  EXPECT_TRUE(Within(milliseconds(8000), [&] {
    const auto metrics = client.Get("/metrics");
    return metrics && metrics->body.find(gone) == std::string::npos;
  })) << "its key has expired";
  EXPECT_EQ(Search(root->port(), query)["coverage"]["gaps"][0]["reason"], "no leaf serves them");

  second = StartLeaf(collection, 2, 1);
  EXPECT_TRUE(Within(milliseconds(5000), [&] { return searched() == 80; })) << "a new leaf is found";
  EXPECT_LT(first->End(), 5);
  EXPECT_LT(second->End(), 5);
  EXPECT_LT(root->End(), 8);
}

}  // namespace
}  // namespace likeness
