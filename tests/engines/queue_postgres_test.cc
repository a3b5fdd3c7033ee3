// The queue on a real PostgreSQL, and a server that is restarted while it is used.
#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>

#include <map>

#include "base/clock.h"
#include "engines/queue_conformance.h"
#include "engines/queue_cost.h"
#include "queue/sql_queue.h"
#include "support/engines.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;

constexpr const char* kUrl = "LIKENESS_TEST_POSTGRES_URL";

// The server's address without its password, which goes to where the queue looks for it.
std::string Url() {
  std::string url = EngineSetting(kUrl).value_or("");
  const size_t at = url.find('@'), colon = url.find(':', url.find("//") + 2);
  if (at != std::string::npos && colon < at) {
    ::setenv("PGPASSWORD", url.substr(colon + 1, at - colon - 1).c_str(), 1);
    url.erase(colon, at - colon);
  }
  return url;
}

void Administer(const std::string& statement) {
  const std::string url = Url();
  const size_t user = url.find("//") + 2, host = url.find('@') + 1, port = url.rfind(':'), name = url.rfind('/');
  soci::session session(soci::postgresql,
                        "user=" + url.substr(user, host - 1 - user) + " host=" + url.substr(host, port - host) +
                            " port=" + url.substr(port + 1, name - port - 1) + " dbname=" + url.substr(name + 1) +
                            " options='-c client_min_messages=warning'");
  session << statement;
}

// Every queue of a test has a schema of its own in the database.
absl::StatusOr<std::unique_ptr<Queue>> OpenIn(const std::string& name) {
  Administer("CREATE SCHEMA IF NOT EXISTS " + name);
  return OpenPostgresQueue(Url() + "?options=-csearch_path%3D" + name);
}
void Drop(const std::string& name) { Administer("DROP SCHEMA IF EXISTS " + name + " CASCADE"); }

INSTANTIATE_TEST_SUITE_P(Postgres, QueueConformance,
                         testing::Values(QueueEngine{.name = "postgres", .open = OpenIn, .drop = Drop, .missing = [] {
                                                       return !EngineSetting(kUrl).has_value();
                                                     }}));

// Planner and workers go on while the server is restarted twice.
TEST(PostgresQueue, ARestartLosesAndDoublesNothing) {
  LIKENESS_REQUIRE_ENGINE(kUrl);
  constexpr int kTasks = 400;
  const std::string name = "t" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
  const auto queue = OpenIn(name);
  ASSERT_TRUE(queue.ok()) << queue.status();
  std::mutex mutex;
  std::map<std::string, int> acknowledged, delivered;
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int w = 0; w < 3; ++w) {
    threads.emplace_back([&, w] {
      while (!stop) {
        const auto lease = (*queue)->Pull("worker" + std::to_string(w), std::chrono::seconds(2), milliseconds(200));
        ASSERT_TRUE(lease.ok()) << lease.status();
        if (!lease->has_value()) continue;
        std::this_thread::sleep_for(milliseconds(15));
        const absl::Status done = (*queue)->Acknowledge(**lease);
        EXPECT_TRUE(done.ok() || absl::IsFailedPrecondition(done)) << done;
        const std::lock_guard lock(mutex);
        ++delivered[(*lease)->task.id];
        if (done.ok()) ++acknowledged[(*lease)->task.id];
      }
    });
  }
  std::thread planner([&] {
    for (int i = 0; i < kTasks; ++i) {
      const auto added = (*queue)->Publish(std::vector<Task>{{"t/" + std::to_string(i), "payload"}});
      ASSERT_TRUE(added.ok()) << added.status();
      std::this_thread::sleep_for(milliseconds(5));
    }
  });
  for (int i = 0; i < 2; ++i) {
    std::this_thread::sleep_for(milliseconds(500));
    EXPECT_TRUE(Engines("restart postgres"));
  }
  planner.join();
  const Deadline deadline = Deadline::After(std::chrono::seconds(40));
  for (; !deadline.Passed(); std::this_thread::sleep_for(milliseconds(50))) {
    const auto stats = (*queue)->Stats();
    if (stats.ok() && stats->waiting + stats->leased == 0) break;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ((*queue)->Stats()->waiting + (*queue)->Stats()->leased, 0u);
  EXPECT_EQ(delivered.size(), static_cast<size_t>(kTasks));
  EXPECT_EQ(acknowledged.size(), static_cast<size_t>(kTasks));
  for (const auto& [id, times] : acknowledged) EXPECT_EQ(times, 1) << id;
  int again = 0;
  for (const auto& [id, times] : delivered) again += times - 1;
  std::printf("%d of %d tasks were delivered again\n", again, kTasks);
  EXPECT_LE(again, 12) << "what three workers held, at two restarts";
  Drop(name);
}

TEST(PostgresQueue, APullDoesNotGrowWithWhatWaits) {
  LIKENESS_REQUIRE_ENGINE(kUrl);
  const auto small = OpenIn("small_queue"), large = OpenIn("large_queue");
  ASSERT_TRUE(small.ok() && large.ok()) << small.status() << large.status();
  ExpectPullsThatDoNotGrow(**small, **large, 100'000);
  Drop("small_queue");
  Drop("large_queue");
}

TEST(PostgresQueueOpen, SaysWhatToDo) {
  const Stopwatch watch;
  EXPECT_EQ(OpenPostgresQueue("postgresql://nobody@127.0.0.1:1/none").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(OpenPostgresQueue("mysql://nobody@127.0.0.1:1/none").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_LT(watch.Milliseconds(), 5000);
}

}  // namespace
}  // namespace likeness
