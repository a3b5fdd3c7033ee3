// The fingerprint run on real S3, PostgreSQL and NATS, with what dies there: workers, and the servers themselves. The
// bytes that come out are those of an undisturbed run in a folder.
#include <gtest/gtest.h>
#include <nats/nats.h>
#include <signal.h>
#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <random>
#include <thread>

#include "base/clock.h"
#include "catalog/postgres.h"
#include "pipeline/features.h"
#include "support/engines.h"
#include "support/nats_cluster.h"
#include "support/scratch_folder.h"
#include "tests/fault/collection.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A collection's own place on the servers: a prefix, a database and a stream. What is secret goes into the environment,
// where workers find it.
class Place {
 public:
  Place() {
    static int number = 0;
    name_ = "run_" + std::to_string(::getpid()) + "_" + std::to_string(number++);
    ::setenv("AWS_ACCESS_KEY_ID", EngineSetting("LIKENESS_TEST_S3_ACCESS_KEY")->c_str(), 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", EngineSetting("LIKENESS_TEST_S3_SECRET_KEY")->c_str(), 1);
    std::string url = *EngineSetting("LIKENESS_TEST_POSTGRES_URL");
    const size_t colon = url.find(':', url.find("//") + 2), at = url.find('@');
    ::setenv("PGPASSWORD", url.substr(colon + 1, at - colon - 1).c_str(), 1);
    url.erase(colon, at - colon);
    server_ = url;
    Administer("CREATE DATABASE " + name_ + " ENCODING 'UTF8' TEMPLATE template0");
  }
  ~Place() {
    Administer("DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
    natsConnection* connection = Connect();
    jsCtx* jetstream = nullptr;
    if (natsConnection_JetStream(&jetstream, connection, nullptr) == NATS_OK) {
      for (const char* stream : {"-tasks", "-leases", "-done"}) {
        js_DeleteStream(jetstream, (name_ + stream).c_str(), nullptr, nullptr);
      }
    }
    jsCtx_Destroy(jetstream);
    natsConnection_Destroy(connection);
  }

  std::string Sections() const {
    return "[objects]\nurl = \"s3://" + *EngineSetting("LIKENESS_TEST_S3_BUCKET") + "/" + name_ + "\"\nendpoint = \"" +
           *EngineSetting("LIKENESS_TEST_S3_ENDPOINT") + "\"\n[catalog]\nurl = \"" +
           server_.substr(0, server_.rfind('/') + 1) + name_ + "\"\n[queue]\nurl = \"" +
           *EngineSetting("LIKENESS_TEST_NATS_URLS") + "\"\nname = \"" + name_ + "\"\n";
  }

  std::string Leader() const { return NatsLeader(*EngineSetting("LIKENESS_TEST_NATS_URLS"), name_ + "-tasks"); }

 private:
  static natsConnection* Connect() {
    natsConnection* connection = nullptr;
    natsConnection_ConnectTo(&connection, EngineSetting("LIKENESS_TEST_NATS_URLS")->c_str());
    return connection;
  }
  void Administer(const std::string& statement) const {
    try {
      soci::session session(soci::postgresql, *PostgresConninfo(server_));
      session << statement;
    } catch (const std::exception& error) {
      ADD_FAILURE() << statement << ": " << error.what();
    }
  }

  std::string name_, server_;
};

class Run : public testing::Test {
 protected:
  void SetUp() override {
    LIKENESS_REQUIRE_ENGINE("LIKENESS_TEST_S3_ENDPOINT");
    LIKENESS_REQUIRE_ENGINE("LIKENESS_TEST_NATS_URLS");
    LIKENESS_REQUIRE_ENGINE("LIKENESS_TEST_POSTGRES_URL");
    pictures_ = ProductPictures(FullRun() ? 4500 : 500);
    if (pictures_.empty()) GTEST_SKIP();
    options_.shard_images = pictures_.size() / 2 + 1;
    options_.chunk_images = 32;
    options_.part_images = 32;
  }

  // A planned collection in a place of its own. The first also finds out what should come out.
  void Make() {
    if (expected_.empty()) expected_ = Undisturbed(scratch_.path() / "reference", pictures_, options_);
    ASSERT_FALSE(expected_.empty());
    home_.reset();
    std::filesystem::remove_all(scratch_.path() / "home");
    place_ = std::make_unique<Place>();
    options_.sections = place_->Sections();
    home_ = MakeCollection(scratch_.path() / "home", pictures_, options_);
    ASSERT_NE(home_, nullptr);
    const auto plan = RunPlan(*home_, *CurrentFeatures(*home_), {});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_EQ(plan->images, pictures_.size());
    chunks_ = plan->chunks;
  }

  // What came out is what comes out of an undisturbed run, and nothing that was put was computed again.
  void Check() {
    const auto rates = home_->catalog().Rates();
    ASSERT_TRUE(rates.ok()) << rates.status();
    for (const FeatureRate& rate : *rates) EXPECT_LE(rate.images, pictures_.size()) << rate.feature.ToString();
    Finish(*home_);
    EXPECT_EQ(Outputs(*home_), expected_);
  }

  // A run that two workers do while `disturb` happens to the servers.
  void Disturbed(const std::function<void()>& disturb) {
    Make();
    if (HasFatalFailure()) return;
    std::vector<std::unique_ptr<Process>> workers;
    for (int i = 0; i < 2; ++i) workers.push_back(StartWorker(home_->path()));
    while (workers[0]->Running() && home_->catalog().Rates().value_or(std::vector<FeatureRate>{}).empty()) {
      std::this_thread::sleep_for(milliseconds(20));
    }
    const auto before = home_->queue().Stats();
    ASSERT_TRUE(before.ok()) << before.status();
    EXPECT_GT(before->waiting + before->leased, 0u) << "the run was over before anything happened";
    disturb();
    for (auto& worker : workers) {
      EXPECT_EQ(worker->Wait(), 0);
    }
    Check();
  }

  const ScratchFolder scratch_;
  CollectionOptions options_;
  std::vector<std::filesystem::path> pictures_;
  std::map<std::string, std::string> expected_;
  std::unique_ptr<Place> place_;
  std::unique_ptr<Home> home_;
  uint64_t chunks_ = 0;
};

TEST_F(Run, SurvivesKilledWorkers) {
  options_.lease_seconds = 5;
  const int wanted = FullRun() ? 50 : 6;
  const uint64_t seed = std::random_device{}();
  int kills = 0;
  // A fast machine may be done before the last kill: then again, in another place.
  for (uint64_t round = 0; kills < wanted && round < 40; ++round) {
    std::cout << "seed " << seed + round << ", " << kills << " kills so far\n";
    Make();
    if (HasFatalFailure()) return;
    const int landed = KillWorkers(*home_, 2, wanted - kills, seed + round);
    kills += landed;
    const auto stats = home_->queue().Stats();
    ASSERT_TRUE(stats.ok()) << stats.status();
    EXPECT_LE(stats->delivered - stats->acknowledged, static_cast<uint64_t>(landed)) << "chunks that were done again";
    Check();
    std::cout << landed << " kills, " << stats->delivered << " deliveries of " << chunks_ << " chunks\n";
    if (HasFailure()) return;
  }
  EXPECT_EQ(kills, wanted);
}

TEST_F(Run, SurvivesTheLeaderOfNats) {
  Disturbed([&] {
    const std::string leader = place_->Leader();
    EXPECT_TRUE(Engines("kill nats " + leader)) << "server '" << leader << "'";
  });
  EXPECT_TRUE(Engines("start nats"));
}

TEST_F(Run, SurvivesARestartOfPostgres) {
  Disturbed([] { EXPECT_TRUE(Engines("restart postgres")); });
}

TEST_F(Run, SurvivesARestartOfS3) {
  Disturbed([] { EXPECT_TRUE(Engines("restart s3")); });
}

TEST_F(Run, ASpotNoticeGivesTheLeaseBackAtOnce) {
  options_.chunk_images = 100'000;
  options_.lease_seconds = 3600;
  Make();
  const auto worker = StartWorker(home_->path());
  while (worker->Running() && home_->catalog().Rates()->empty()) std::this_thread::sleep_for(milliseconds(20));
  ASSERT_TRUE(worker->Running()) << "it was done before it could be told";
  worker->Signal(SIGTERM);
  const Stopwatch watch;
  const auto lease = home_->queue().Pull("another", seconds(60), seconds(5));
  ASSERT_TRUE(lease.ok() && lease->has_value()) << lease.status();
  EXPECT_LT(watch.Milliseconds(), 1000);
  EXPECT_EQ(worker->Wait(), 0);
  std::cout << "the lease was back after " << watch.Milliseconds() << " ms\n";
}

}  // namespace
}  // namespace likeness
