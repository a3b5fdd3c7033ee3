// Four leaves and a root against one process, and what the root answers when a leaf is killed, stopped or slow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <thread>

#include "base/file.h"
#include "base/random.h"
#include "pipeline/releases.h"
#include "tests/cluster/processes.h"
#include "tests/support/test_seed.h"

namespace likeness {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr int kPictures = 160;
constexpr int kLeaves = 4;
constexpr double kRate = 40;            // queries a second
constexpr double kDeadlineMs = 10'000;  // that the server gives a request
constexpr size_t kHits = 10;

// Made once, and shared by the tests that do not change it.
struct Shared {
  Shared() {
    release = collection.AddRelease(0, kPictures);
    collection.Switch(release);
    shards = collection.Shards(release);
    const auto serve = StartFace(collection, "serve");
    Random random(TestSeed());
    for (int i = 0; i < 30; ++i) {
      json query = {{"k", 1 + random.Below(2 * kPictures)}};
      if (i % 5 != 4) query["signature"] = SmallCollection::SignatureOf(static_cast<int>(random.Below(kPictures)));
      if (i % 5 >= 3) query["color"] = i % 2 == 0 ? "red" : "#3050a0";
      if (i % 5 == 3) query["color_weight"] = random.Unit();
      if (i % 3 == 1) query["board"] = "even";
      if (i % 7 == 2) query["text"] = "picture";
      queries.push_back(query);
      expected.push_back(Search(serve->port(), query));
      EXPECT_FALSE(expected.back().contains("failed")) << query << expected.back();
    }
    // The whole order is known, so that what an answer in part must hold follows from it.
    for (int i = 0; i < 16; ++i) {
      json query = {{"k", 2 * kPictures}, {"signature", SmallCollection::SignatureOf(10 * i)}};
      if (i % 4 == 1) query["board"] = "odd";
      whole_expected.push_back(Search(serve->port(), query));
      query["k"] = kHits;
      whole.push_back(query);
    }
    serve->End();
  }

  SmallCollection collection;
  std::string release;
  std::vector<std::set<std::string>> shards;
  std::vector<json> queries, expected;
  std::vector<json> whole, whole_expected;
};

class ClusterProcessTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { shared_ = new Shared; }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }

  void SetUp() override { std::cout << "seed " << TestSeed() << "\n"; }

  std::unique_ptr<Listener> StartRoot(const std::string& more = "") {
    json addresses = json::array();
    for (const auto& leaf : leaves_) addresses.push_back(leaf->address());
    shared_->collection.SetCluster("[cluster]\nleaves = " + addresses.dump() + "\n" + more);
    return StartFace(shared_->collection, "root");
  }

  // Images of the shards that the leaf of that index has.
  static std::set<std::string> ImagesOf(int index) {
    std::set<std::string> images;
    for (size_t i = 0; i < shared_->shards.size(); ++i) {
      if (static_cast<int>(i % kLeaves) == index) images.insert(shared_->shards[i].begin(), shared_->shards[i].end());
    }
    return images;
  }

  // Holds an answer to what it says of itself: what it lacks is what the leaves have that its gaps name.
  void Check(const Timed& one, const std::string& what) {
    const json& whole = shared_->whole_expected[one.query];
    std::set<std::string> lost;
    for (const json& gap : one.answer["coverage"].value("gaps", json::array())) {
      const std::string reason = gap["reason"];
      size_t images = 0;
      for (int index = 0; index < kLeaves; ++index) {
        if (reason.find(leaves_[static_cast<size_t>(index)]->address()) == std::string::npos) continue;
        const std::set<std::string> its = ImagesOf(index);
        images += its.size();
        lost.insert(its.begin(), its.end());
      }
      EXPECT_EQ(gap["images"], images) << reason;
    }
    json results = json::array();
    for (const json& result : whole["results"]) {
      if (!lost.contains(result["signature"]) && results.size() < kHits) results.push_back(result);
    }
    EXPECT_TRUE(one.answer["results"] == results)
        << what << " at " << one.at << " s: " << one.answer["coverage"] << " " << one.answer["results"].size() << " of "
        << results.size() << " results, " << one.answer["results"].dump().substr(0, 600);
    EXPECT_EQ(one.answer["coverage"]["searched"], kPictures - lost.size());
    EXPECT_EQ(one.answer["coverage"]["images"], kPictures);
  }

  // Starts the leaves, with a replica of the first where one is wanted, puts them under load while `event` happens to
  // the first, and checks every answer. Returns how many were whole, or with a replica how many were not.
  size_t Endure(const std::string& what, bool replica, const std::vector<std::string>& first_flags,
                const std::function<void(Process&)>& event, double seconds = 4) {
    leaves_.push_back(StartLeaf(shared_->collection, kLeaves, 0, first_flags));
    for (int i = 1; i < kLeaves; ++i) leaves_.push_back(StartLeaf(shared_->collection, kLeaves, i));
    if (replica) leaves_.push_back(StartLeaf(shared_->collection, kLeaves, 0));
    // With a replica nothing may be missing, however busy the machine is that the test runs on.
    const auto root = StartRoot(replica || !first_flags.empty() ? "patience_seconds = 8\n" : "");
    for (const json& query : shared_->whole) Search(root->port(), query);  // the root knows its leaves' pace
    const auto answers = Load(root->port(), shared_->whole, kRate, seconds, [&] { event(leaves_[0]->process()); });
    size_t failed = 0, whole = 0;
    for (const Timed& one : answers) {
      if (one.answer.contains("failed")) {
        ++failed;
        ADD_FAILURE() << what << " at " << one.at << " s: " << one.answer;
        continue;
      }
      whole += one.answer["coverage"].contains("gaps") ? 0 : 1;
      Check(one, what);
    }
    const double p99 = Percentile99(answers);
    std::cout << what << (replica ? ", with a replica: " : ", without a replica: ") << answers.size() << " queries, "
              << failed << " failed, " << whole << " whole, " << answers.size() - failed - whole << " in part, p99 "
              << p99 << " ms\n";
    EXPECT_EQ(failed, 0u);
    EXPECT_LT(p99, kDeadlineMs);
    leaves_[0]->process().Signal(SIGCONT);
    EXPECT_LT(root->End(), 15);
    return replica ? answers.size() - failed - whole : whole;
  }

  static inline Shared* shared_ = nullptr;
  std::vector<std::unique_ptr<Listener>> leaves_;
};

TEST_F(ClusterProcessTest, FourLeavesAndARootAnswerAsOneProcessToTheBit) {
  ASSERT_EQ(shared_->shards.size(), 8u);
  for (int i = 0; i < kLeaves; ++i) leaves_.push_back(StartLeaf(shared_->collection, kLeaves, i));
  const auto root = StartRoot();
  for (size_t i = 0; i < shared_->queries.size(); ++i) {
    const json answer = Search(root->port(), shared_->queries[i]);
    EXPECT_TRUE(answer == shared_->expected[i]) << shared_->queries[i] << " " << answer.dump().substr(0, 600);
    EXPECT_EQ(answer["coverage"]["searched"], kPictures);
  }
  httplib::Client client("127.0.0.1", root->port());
  const auto metrics = client.Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_THAT(metrics->body, HasSubstr("likeness_leaf_up{leaf=\"" + leaves_[3]->address() + "\"} 1"));
  for (const auto& leaf : leaves_) EXPECT_LT(leaf->End(), 5);
  EXPECT_LT(root->End(), 5);
}

TEST_F(ClusterProcessTest, AKilledLeafIsAGapThatIsStated) {
  const size_t whole = Endure("killed", false, {}, [](Process& leaf) {
    std::this_thread::sleep_for(milliseconds(1000));
    leaf.Signal(SIGKILL);
  });
  EXPECT_GT(whole, 20u) << "until it was killed";
}

TEST_F(ClusterProcessTest, AKilledLeafsReplicaTakesOver) {
  EXPECT_EQ(Endure("killed", true, {},
                   [](Process& leaf) {
                     std::this_thread::sleep_for(milliseconds(1000));
                     leaf.Signal(SIGKILL);
                   }),
            0u);
}

TEST_F(ClusterProcessTest, AStoppedLeafIsAGapThatIsStatedUntilItGoesOn) {
  const size_t whole = Endure(
      "stopped", false, {},
      [](Process& leaf) {
        std::this_thread::sleep_for(milliseconds(500));
        leaf.Signal(SIGSTOP);
        std::this_thread::sleep_for(milliseconds(3500));
        leaf.Signal(SIGCONT);
      },
      6);
  EXPECT_GT(whole, 20u) << "before, and after it goes on";
}

TEST_F(ClusterProcessTest, AStoppedLeafsReplicaTakesOver) {
  EXPECT_EQ(Endure("stopped", true, {},
                   [](Process& leaf) {
                     std::this_thread::sleep_for(milliseconds(1000));
                     leaf.Signal(SIGSTOP);
                   }),
            0u);
}

TEST_F(ClusterProcessTest, ASlowLeafMakesAnswersSlowButWhole) {
  EXPECT_EQ(Endure("slowed by 200 ms", false, {"--delay-ms", "200", "--threads", "32"}, [](Process&) {}),
            static_cast<size_t>(4 * kRate));  // none in part
}

TEST_F(ClusterProcessTest, ASlowLeafsReplicaTakesOver) {
  EXPECT_EQ(Endure("slowed by 200 ms", true, {"--delay-ms", "200", "--threads", "32"}, [](Process&) {}), 0u);
}

TEST_F(ClusterProcessTest, NothingWaitsForEver) {
  for (int i = 0; i < 2; ++i) leaves_.push_back(StartLeaf(shared_->collection, 2, i));
  const auto root = StartRoot();
  leaves_[0]->process().Signal(SIGSTOP);
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] { Search(root->port(), shared_->whole[0]); });
  }
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_LT(root->End(), 8) << "with queries in flight to a leaf that is stopped";
  for (std::thread& client : clients) client.join();
  leaves_[0]->process().Signal(SIGCONT);
  for (const auto& leaf : leaves_) EXPECT_LT(leaf->End(), 5);
}

TEST(ClusterSwitchTest, ASwitchOfReleasesUnderLoadDropsAndMixesNothing) {
  SmallCollection collection;
  std::map<std::string, json> images;  // of each release
  std::vector<std::string> names;
  for (const int end : {60, 100}) {
    names.push_back(collection.AddRelease(names.empty() ? 0 : 60, end));
    images[names.back()] = end;
  }
  ASSERT_NE(names[0], names[1]);
  collection.Switch(names[0]);
  std::vector<std::unique_ptr<Listener>> leaves;
  json addresses = json::array();
  for (int i = 0; i < 2; ++i) {
    leaves.push_back(StartLeaf(collection, 2, i));
    addresses.push_back(leaves.back()->address());
  }
  collection.SetCluster("[cluster]\npatience_seconds = 8\nleaves = " + addresses.dump() + "\n");
  const auto root = StartFace(collection, "root");
  const std::vector<json> queries = {{{"k", 10}, {"signature", SmallCollection::SignatureOf(3)}},
                                     {{"k", 10}, {"color", "red"}, {"signature", SmallCollection::SignatureOf(7)}}};
  const auto answers = Load(root->port(), queries, kRate, 10, [&] {
    for (int i = 1; i <= 6; ++i) {
      std::this_thread::sleep_for(milliseconds(1500));
      collection.Switch(names[static_cast<size_t>(i % 2)]);
    }
  });
  std::map<std::string, int> seen;
  for (const Timed& one : answers) {
    ASSERT_FALSE(one.answer.contains("failed")) << one.at << " s: " << one.answer;
    const std::string release = one.answer["release"];
    ++seen[release];
    ASSERT_TRUE(images.contains(release));
    EXPECT_EQ(one.answer["coverage"]["images"], images[release]) << one.at;
    EXPECT_EQ(one.answer["coverage"]["searched"], images[release]) << one.answer["coverage"] << one.at;
    EXPECT_EQ(one.answer["results"].size(), 10u) << one.at;
  }
  EXPECT_EQ(seen.size(), 2u) << "both releases have answered";
  for (const auto& [name, count] : seen) std::cout << name << ": " << count << " answers\n";
}

TEST(ClusterDamageTest, ALeafRefusesADamagedSegmentAndTheRootSaysWhy) {
  SmallCollection collection;
  const std::string release = collection.AddRelease(0, 40);
  collection.Switch(release);
  std::filesystem::path victim;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(collection.home() / "objects" / "indexes")) {
    if (entry.path().filename() == "segment") victim = std::max(victim, entry.path());
  }
  std::string bytes = *ReadFile(victim);
  bytes[bytes.size() / 2] ^= 1;
  std::filesystem::remove(victim);
  ASSERT_TRUE(WriteFileAtomic(victim, AsBytes(bytes)).ok());
  const auto leaf = StartLeaf(collection, 1, 0);
  EXPECT_TRUE(leaf->Await("segment_refused")) << leaf->Log();
  EXPECT_THAT(leaf->Log(), HasSubstr("checksum"));
  collection.SetCluster("[cluster]\nleaves = [\"" + leaf->address() + "\"]\n");
  const auto root = StartFace(collection, "root");
  const json answer = Search(root->port(), {{"k", 100}, {"color", "red"}});
  ASSERT_TRUE(answer.contains("coverage")) << answer;
  EXPECT_EQ(answer["coverage"]["searched"], 20);
  EXPECT_EQ(answer["coverage"]["images"], 40);
  EXPECT_EQ(answer["coverage"]["gaps"][0]["images"], 20);
  EXPECT_THAT(answer["coverage"]["gaps"][0]["reason"].get<std::string>(), HasSubstr("checksum"));
}

TEST(ClusterFlagsTest, WhatMakesNoSenseIsRefused) {
  SmallCollection collection;
  const auto run = [&](const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"--home", collection.home().string()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const std::filesystem::path log = collection.log("refused" + arguments.back());
    Process process(LIKENESS_BINARY, all, log);
    EXPECT_EQ(process.Wait(), 1);
    return *ReadFile(log);
  };
  EXPECT_THAT(run({"leaf", "--port", "0", "--of", "0"}), HasSubstr("--of must be"));
  EXPECT_THAT(run({"leaf", "--port", "0", "--shard", "yesterday"}), HasSubstr("--shard must be like"));
  EXPECT_THAT(run({"leaf", "--port", "0", "--host", "0.0.0.0"}), HasSubstr("token_file"));
  EXPECT_THAT(run({"root", "--port", "0"}), HasSubstr("no leaves are named"));
  collection.SetCluster("[cluster]\nleaves = [\"here\"]\n");
  EXPECT_THAT(run({"root", "--port", "00"}), HasSubstr("must be a list of addresses"));
}

}  // namespace
}  // namespace likeness
