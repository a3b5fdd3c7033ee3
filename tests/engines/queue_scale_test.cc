// What a queue costs when it is long: SQLite here, PostgreSQL where LIKENESS_TEST_POSTGRES names a server. The figures
// are printed; the promise that is checked is that a pull does not grow with what waits behind it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "queue/sql_queue.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;

struct Cost {
  double publish_a_second = 0;
  double pull_p50 = 0, pull_p99 = 0, acknowledge_p50 = 0, stats = 0;  // milliseconds
};

Cost Measure(Queue& queue, int waiting) {
  Cost cost;
  std::vector<Task> tasks;
  for (int i = 0; i < waiting; ++i) {
    tasks.push_back({"features/deep.model/1a2b3c/2026-01-02/" + std::to_string(i), std::string(300, 'x')});
  }
  Stopwatch watch;
  EXPECT_EQ(queue.Publish(tasks).value_or(0), static_cast<uint64_t>(waiting));
  cost.publish_a_second = waiting / watch.Milliseconds() * 1e3;
  std::vector<Lease> leases;
  std::vector<double> pulls, acknowledges;
  for (int i = 0; i < 400; ++i) {
    watch.Restart();
    auto lease = queue.Pull("worker", std::chrono::minutes(10), milliseconds(0));
    pulls.push_back(watch.Milliseconds());
    if (!lease.ok() || !lease->has_value()) {
      ADD_FAILURE() << lease.status();
      return cost;
    }
    if (i % 2 == 0) continue;  // stays leased, in front of those that wait
    watch.Restart();
    EXPECT_EQ(queue.Acknowledge(**lease), absl::OkStatus());
    acknowledges.push_back(watch.Milliseconds());
  }
  watch.Restart();
  EXPECT_EQ(queue.Stats()->waiting, static_cast<uint64_t>(waiting - 400));
  cost.stats = watch.Milliseconds();
  std::ranges::sort(pulls);
  std::ranges::sort(acknowledges);
  cost.pull_p50 = pulls[pulls.size() / 2];
  cost.pull_p99 = pulls[pulls.size() * 99 / 100];
  cost.acknowledge_p50 = acknowledges[acknowledges.size() / 2];
  std::printf("%8d waiting: publish %.0f/s, pull p50 %.2f ms p99 %.2f ms, acknowledge p50 %.2f ms, stats %.0f ms\n",
              waiting, cost.publish_a_second, cost.pull_p50, cost.pull_p99, cost.acknowledge_p50, cost.stats);
  return cost;
}

TEST(QueueScale, APullDoesNotGrowWithWhatWaitsOnSqlite) {
  const ScratchFolder folder;
  const auto small = OpenSqliteQueue(folder.path() / "small.sqlite");
  const auto large = OpenSqliteQueue(folder.path() / "large.sqlite");
  ASSERT_TRUE(small.ok() && large.ok());
  const Cost few = Measure(**small, 1'000);
  const Cost many = Measure(**large, 1'000'000);
  EXPECT_LT(many.pull_p50, 3 * few.pull_p50 + 0.2);
  EXPECT_LT(many.pull_p50, 5);
}

}  // namespace
}  // namespace likeness
