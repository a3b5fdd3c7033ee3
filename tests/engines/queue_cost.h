// What a queue costs when it is long: published, pulled and acknowledged by one worker, one call after the other.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "queue/queue.h"

namespace likeness {

struct QueueCost {
  double publish_a_second = 0;
  double pull_p50 = 0, pull_p99 = 0, acknowledge_p50 = 0, stats = 0;  // milliseconds
};

// Prints what it finds. REQUIRES: the queue is empty
inline QueueCost MeasureQueue(Queue& queue, int waiting) {
  QueueCost cost;
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
    auto lease = queue.Pull("worker", std::chrono::minutes(10), std::chrono::milliseconds(0));
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

// That a pull does not grow with what waits behind it: `many` tasks, or as many as LIKENESS_TEST_LONG_QUEUE says.
inline void ExpectPullsThatDoNotGrow(Queue& small, Queue& large, int many) {
  if (const char* asked = std::getenv("LIKENESS_TEST_LONG_QUEUE")) many = std::atoi(asked);
  const QueueCost few = MeasureQueue(small, 1'000);
  const QueueCost long_queue = MeasureQueue(large, many);
  EXPECT_LT(long_queue.pull_p50, 3 * few.pull_p50 + 0.5);
}

}  // namespace likeness
