// The catalog on a real PostgreSQL: the suite of every engine, its errors, and a server that is stopped and started
// while it is used. Needs a user who may make databases.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/clock.h"
#include "catalog/postgres.h"
#include "engines/catalog_conformance.h"
#include "support/engines.h"

namespace likeness {
namespace {

using testing::HasSubstr;

// The server's address without its password, which goes to where libpq looks for it.
std::string Server() {
  std::string url = EngineSetting("LIKENESS_TEST_POSTGRES_URL").value_or("");
  const size_t at = url.find('@'), colon = url.find(':', url.find("//") + 2);
  if (at != std::string::npos && colon < at) {
    ::setenv("PGPASSWORD", url.substr(colon + 1, at - colon - 1).c_str(), 1);
    url.erase(colon, at - colon);
  }
  return url;
}

// The server's address with another database, user or port in place of its own.
struct Address {
  std::string user, host, port, database;

  static Address Of(std::string url) {
    url = url.substr(url.find("//") + 2);
    Address address;
    address.database = url.substr(url.rfind('/') + 1);
    url = url.substr(0, url.rfind('/'));
    address.user = url.substr(0, url.find('@'));
    url = url.substr(url.find('@') + 1);
    address.port = url.substr(url.rfind(':') + 1);
    address.host = url.substr(0, url.rfind(':'));
    return address;
  }
  std::string Url() const { return "postgresql://" + user + "@" + host + ":" + port + "/" + database; }
};

void Administer(const std::string& statement) {
  soci::session session(soci::postgresql, *PostgresConninfo(Server()));
  session << statement;
}

// A database of the test program's own, so that several may run at once.
std::string OwnDatabase() { return "likeness_test_" + std::to_string(::getpid()); }

std::string OwnUrl() {
  Address address = Address::Of(Server());
  address.database = OwnDatabase();
  return address.Url();
}

CatalogEngine Postgres() {
  const auto clear = [] {
    Administer("DROP DATABASE IF EXISTS " + OwnDatabase() + " WITH (FORCE)");
    Administer("CREATE DATABASE " + OwnDatabase() + " ENCODING 'UTF8' TEMPLATE template0");
  };
  const auto open = [] { return Catalog::Connect(OwnUrl()); };
  return {"postgres", clear, open,
          [] { return std::string(Server().empty() ? "no engines: scripts/engines start" : ""); }};
}

// Takes the database away at the end.
class Cleanup : public testing::Environment {
  void TearDown() override {
    if (!Server().empty()) Administer("DROP DATABASE IF EXISTS " + OwnDatabase() + " WITH (FORCE)");
  }
};
[[maybe_unused]] testing::Environment* const kCleanup = testing::AddGlobalTestEnvironment(new Cleanup);

INSTANTIATE_TEST_SUITE_P(Postgres, CatalogConformance, testing::Values(Postgres()),
                         [](const auto& info) { return info.param.name; });

class CatalogOnPostgres : public testing::Test {
 protected:
  void SetUp() override {
    LIKENESS_REQUIRE_ENGINE("LIKENESS_TEST_POSTGRES_URL");
    Postgres().clear();
  }
  // What opening says, which must not take longer than 5 s.
  static absl::Status Opening(const std::string& url) {
    const Stopwatch watch;
    const absl::Status status = Catalog::Connect(url).status();
    EXPECT_LT(watch.Milliseconds(), 5000) << url;
    EXPECT_EQ(MessageOf(status).find('\n'), std::string::npos) << "one sentence: " << status;
    return status;
  }
};

TEST_F(CatalogOnPostgres, WhatIsWrongIsSaidWithinFiveSeconds) {
  Address address = Address::Of(OwnUrl());
  address.port = "1";
  absl::Status status = Opening(address.Url());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("is PostgreSQL running"));

  address = Address::Of(OwnUrl());
  address.host = "192.0.2.1";  // Reserved for documentation: nothing answers.
  EXPECT_EQ(Opening(address.Url()).code(), absl::StatusCode::kUnavailable);

  address = Address::Of(OwnUrl());
  address.database = "likeness_no_such_database";
  status = Opening(address.Url());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("createdb"));

  address = Address::Of(OwnUrl());
  address.user = "likeness_no_such_user";
  status = Opening(address.Url());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;

  EXPECT_TRUE(Catalog::Connect(OwnUrl()).ok());
  {
    soci::session session(soci::postgresql, *PostgresConninfo(OwnUrl()));
    session << "UPDATE catalog_version SET version = 1000";
  }
  status = Opening(OwnUrl());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("newer likeness"));
}

TEST_F(CatalogOnPostgres, AWrongPasswordIsToldFromNone) {
  const std::string url = OwnUrl();  // sets the right one
  const char* right = std::getenv("PGPASSWORD");
  if (right == nullptr) GTEST_SKIP() << "this server asks for no password";
  const std::string kept = right;
  ::setenv("PGPASSWORD", "sesame", 1);
  absl::Status status = Opening(url);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(MessageOf(status), testing::AllOf(HasSubstr("PGPASSFILE"), testing::Not(HasSubstr("sesame"))));
  ::unsetenv("PGPASSWORD");
  status = Opening(url);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(MessageOf(status), HasSubstr("PGPASSFILE"));
  ::setenv("PGPASSWORD", kept.c_str(), 1);
}

TEST_F(CatalogOnPostgres, SeveralMayOpenAnEmptyDatabaseAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([] { EXPECT_EQ(Catalog::Connect(OwnUrl()).status(), absl::OkStatus()); });
  }
  for (std::thread& thread : threads) thread.join();
}

// Every connection is cut again and again, as a server that is started anew does.
TEST_F(CatalogOnPostgres, LostConnectionsAreMadeAgainAndNothingIsLostOrDoubled) {
  const auto catalog = *Catalog::Connect(OwnUrl());
  std::atomic<bool> done{false};
  std::atomic<int> cuts{0};
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::thread cutter([&] {
    std::mt19937 random(seed);
    while (!done) {
      Administer("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + OwnDatabase() + "'");
      ++cuts;
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 300));
    }
  });
  for (int batch = 0; batch < 100; ++batch) {
    std::vector<Addition> additions;
    for (int i = 0; i < 5; ++i) {
      const std::string name = std::to_string(batch * 5 + i);
      additions.push_back(File(name, name));
    }
    EXPECT_EQ(catalog->Record(additions), absl::OkStatus());
    EXPECT_EQ(catalog->CutShards(100).status(), absl::OkStatus());
    EXPECT_EQ(catalog->Counts()->images, 5u * (static_cast<uint64_t>(batch) + 1));
  }
  done = true;
  cutter.join();
  EXPECT_GT(cuts, 1);
  uint64_t images = 0;
  const auto shards = *catalog->Shards();
  for (const ShardRecord& shard : shards) images += catalog->ShardSignatures(shard.id)->size();
  EXPECT_EQ(images, 500u);
}

TEST_F(CatalogOnPostgres, ARestartedServerIsWaitedFor) {
  const auto catalog = *Catalog::Connect(OwnUrl());
  ASSERT_EQ(catalog->Record(std::vector{File("a", "one")}), absl::OkStatus());
  if (!Engines("restart postgres")) GTEST_SKIP() << "this server is not ours to restart";
  EXPECT_EQ(catalog->Record(std::vector{File("b", "two")}), absl::OkStatus());
  std::thread restart([] { EXPECT_TRUE(Engines("restart postgres")); });
  for (int i = 0; i < 100; ++i) {
    const std::string name = std::to_string(i);
    EXPECT_EQ(catalog->Record(std::vector{File(name, name)}), absl::OkStatus());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  restart.join();
  EXPECT_EQ(catalog->Counts()->images, 102u);
}

TEST_F(CatalogOnPostgres, AServerThatStaysAwayIsUnavailableInTheEnd) {
  const auto catalog = *Catalog::Connect(OwnUrl(), {.retry_for = std::chrono::milliseconds(700)});
  Administer("DROP DATABASE " + OwnDatabase() + " WITH (FORCE)");
  const Stopwatch watch;
  const absl::Status status = catalog->Counts().status();
  EXPECT_FALSE(status.ok());
  EXPECT_GT(watch.Milliseconds(), 100) << "it was tried again";
  EXPECT_LT(watch.Milliseconds(), 5000);
}

}  // namespace
}  // namespace likeness
