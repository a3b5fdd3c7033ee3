// What every engine of the queue promises, as tests: included by one source of a test program, which instantiates
// QueueConformance for its engines.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "queue/queue.h"

namespace likeness {

struct QueueEngine {
  std::string name;
  // Opens the queue called `queue`; a name that was not used before gives an empty one. Names: letters and digits.
  std::function<absl::StatusOr<std::unique_ptr<Queue>>(const std::string& queue)> open;
  std::function<void(const std::string& queue)> drop = {};  // takes away what `open` made, where that stays
  std::function<bool()> missing = {};                       // true where there is no server: skip
  bool shared = true;                                       // another process that opens the name gets the same queue
  std::chrono::milliseconds short_lease{300};               // one that a test can wait for
};
inline void PrintTo(const QueueEngine& engine, std::ostream* out) { *out << engine.name; }

class QueueConformance : public testing::TestWithParam<QueueEngine> {
 protected:
  void SetUp() override {
    if (GetParam().missing && GetParam().missing()) GTEST_SKIP() << "no engines: scripts/engines start";
    static std::atomic<int> count = 0;
    name_ = "q" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()) + "n" +
            std::to_string(count++);
    if (const char* held = ::getenv(kHold)) name_ = held;
    queue_ = Open();
    ASSERT_NE(queue_, nullptr);
  }
  void TearDown() override {
    if (queue_ != nullptr && GetParam().drop && ::getenv(kHold) == nullptr) GetParam().drop(name_);
  }

  std::unique_ptr<Queue> Open() {
    auto queue = GetParam().open(name_);
    EXPECT_TRUE(queue.ok()) << queue.status();
    return queue.ok() ? *std::move(queue) : nullptr;
  }
  std::chrono::milliseconds short_lease() const { return GetParam().short_lease; }

  static std::vector<Task> Tasks(const std::string& prefix, int count) {
    std::vector<Task> tasks;
    for (int i = 0; i < count; ++i) tasks.push_back({prefix + std::to_string(i), "payload " + std::to_string(i)});
    return tasks;
  }
  uint64_t Publish(Queue& queue, std::vector<Task> tasks) {
    const auto added = queue.Publish(tasks);
    EXPECT_TRUE(added.ok()) << added.status();
    return added.value_or(UINT64_MAX);
  }
  // Pulls with a lease that no test outlives.
  std::optional<Lease> Pull(Queue& queue, const std::string& worker = "worker",
                            std::chrono::milliseconds lease = std::chrono::minutes(10),
                            std::chrono::milliseconds wait = std::chrono::milliseconds(0)) {
    auto pulled = queue.Pull(worker, lease, wait);
    EXPECT_TRUE(pulled.ok()) << pulled.status();
    return pulled.ok() ? *std::move(pulled) : std::nullopt;
  }
  // Pulls until there is a task, for as long as leases may take to run out.
  std::optional<Lease> PullAgain(Queue& queue, const std::string& worker = "again") {
    return Pull(queue, worker, std::chrono::minutes(10), short_lease() + std::chrono::seconds(10));
  }
  static QueueStats StatsOf(Queue& queue) {
    const auto stats = queue.Stats();
    EXPECT_TRUE(stats.ok()) << stats.status();
    return stats.value_or(QueueStats{});
  }
  static void ExpectLost(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  }

  // In the environment of a process that a test starts to hold a lease: the queue's name.
  static constexpr const char* kHold = "LIKENESS_TEST_HOLD_QUEUE";

  std::string name_;
  std::unique_ptr<Queue> queue_;
};

#define ASSERT_PULLED(lease) ASSERT_TRUE((lease).has_value()) << "no task came"

TEST_P(QueueConformance, PublishingTwiceIsPublishingOnce) {
  EXPECT_EQ(Publish(*queue_, {{"a", "1"}, {"b", "2"}, {"a", "3"}}), 2u);
  EXPECT_EQ(Publish(*queue_, {{"b", "4"}, {"c", "5"}}), 1u);
  const auto a = Pull(*queue_);
  ASSERT_PULLED(a);
  EXPECT_EQ(a->task.id, "a");
  EXPECT_EQ(a->task.payload, "1") << "the first one stands";
  EXPECT_EQ(Publish(*queue_, {{"a", "6"}}), 0u) << "leased is still in the queue";
  EXPECT_EQ(queue_->Acknowledge(*a), absl::OkStatus());
  EXPECT_EQ(Publish(*queue_, {{"a", "7"}}), 1u) << "acknowledged is not";
  for (const std::string expected : {"2", "5", "7"}) {
    const auto lease = Pull(*queue_);
    ASSERT_PULLED(lease);
    EXPECT_EQ(lease->task.payload, expected) << "oldest first";
    EXPECT_EQ(lease->attempt, 1u);
    EXPECT_EQ(queue_->Acknowledge(*lease), absl::OkStatus());
  }
  EXPECT_FALSE(Pull(*queue_).has_value());
}

TEST_P(QueueConformance, TwoPlannersAtOnceGiveOneTaskEach) {
  const std::vector<Task> tasks = Tasks("plan/", 300);
  const auto other = Open();
  ASSERT_NE(other, nullptr);
  std::atomic<uint64_t> added = 0;
  std::thread second([&] { added += Publish(*other, tasks); });
  added += Publish(*queue_, tasks);
  second.join();
  EXPECT_EQ(added, 300u);
  EXPECT_EQ(StatsOf(*queue_).waiting, 300u);
}

TEST_P(QueueConformance, AnEmptyQueueIsWaitedFor) {
  const auto before = std::chrono::steady_clock::now();
  EXPECT_FALSE(Pull(*queue_, "worker", std::chrono::minutes(1), std::chrono::milliseconds(200)).has_value());
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(190));
  const auto other = Open();
  ASSERT_NE(other, nullptr);
  std::thread planner([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    Publish(*other, {{"late", ""}});
  });
  const auto start = std::chrono::steady_clock::now();
  const auto late = Pull(*queue_, "worker", std::chrono::minutes(1), std::chrono::seconds(20));
  planner.join();
  ASSERT_PULLED(late);
  EXPECT_EQ(late->task.payload, "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
}

TEST_P(QueueConformance, ALeaseThatRunsOutIsLostToTheNextWorker) {
  Publish(*queue_, {{"a", ""}});
  const auto first = Pull(*queue_, "slow", short_lease());
  ASSERT_PULLED(first);
  EXPECT_FALSE(Pull(*queue_).has_value()) << "leased to somebody";
  const auto second = PullAgain(*queue_);
  ASSERT_PULLED(second);
  EXPECT_EQ(second->task.id, "a");
  EXPECT_EQ(second->attempt, 2u);
  ExpectLost(queue_->Extend(*first));
  ExpectLost(queue_->Return(*first));
  ExpectLost(queue_->Replace(*first, Tasks("part/", 2)));
  ExpectLost(queue_->Acknowledge(*first));
  EXPECT_EQ(StatsOf(*queue_).leased, 1u) << "the second one's lease is untouched";
  EXPECT_EQ(queue_->Acknowledge(*second), absl::OkStatus());
  ExpectLost(queue_->Acknowledge(*second));
  EXPECT_FALSE(Pull(*queue_).has_value());
}

TEST_P(QueueConformance, ALeaseThatRanOutIsGoodWhileNobodyElseGotTheTask) {
  Publish(*queue_, {{"a", ""}, {"b", ""}});
  const auto a = Pull(*queue_, "slow", short_lease());
  const auto b = Pull(*queue_, "slow", short_lease());
  ASSERT_PULLED(a);
  ASSERT_PULLED(b);
  std::this_thread::sleep_for(short_lease() + std::chrono::milliseconds(200));
  EXPECT_EQ(queue_->Extend(*b), absl::OkStatus());
  EXPECT_EQ(queue_->Acknowledge(*a), absl::OkStatus());
  EXPECT_EQ(queue_->Acknowledge(*b), absl::OkStatus());
  EXPECT_FALSE(Pull(*queue_).has_value());
}

TEST_P(QueueConformance, AnExtendedLeaseHolds) {
  Publish(*queue_, {{"a", ""}});
  const auto lease = Pull(*queue_, "busy", 4 * short_lease());  // a busy machine may lose as much time again
  ASSERT_PULLED(lease);
  for (int i = 0; i < 6; ++i) {
    EXPECT_FALSE(Pull(*queue_, "hungry", short_lease(), short_lease()).has_value());
    EXPECT_EQ(queue_->Extend(*lease), absl::OkStatus());
  }
  EXPECT_EQ(queue_->Acknowledge(*lease), absl::OkStatus());
  EXPECT_EQ(StatsOf(*queue_).delivered, 1u);
}

TEST_P(QueueConformance, AReturnedTaskIsThereAtOnceAndNotCounted) {
  Publish(*queue_, {{"a", ""}, {"b", ""}});
  const auto first = Pull(*queue_);
  ASSERT_PULLED(first);
  ASSERT_EQ(queue_->Return(*first), absl::OkStatus());
  EXPECT_EQ(StatsOf(*queue_).waiting, 2u);
  const auto second = Pull(*queue_, "other", short_lease(), std::chrono::seconds(5));
  ASSERT_PULLED(second);
  EXPECT_EQ(second->task.id, "a") << "in its old place";
  EXPECT_EQ(second->attempt, 1u);
  ExpectLost(queue_->Acknowledge(*first));
  ExpectLost(queue_->Return(*first));
  const auto b = Pull(*queue_);
  ASSERT_PULLED(b);
  EXPECT_EQ(b->task.id, "b");
  const auto third = PullAgain(*queue_);  // the second lease runs out: that one counts
  ASSERT_PULLED(third);
  EXPECT_EQ(third->attempt, 2u);
  ASSERT_EQ(queue_->Return(*third), absl::OkStatus());
  const auto fourth = PullAgain(*queue_);
  ASSERT_PULLED(fourth);
  EXPECT_EQ(fourth->attempt, 2u);
  EXPECT_EQ(queue_->Acknowledge(*fourth), absl::OkStatus());
}

TEST_P(QueueConformance, ADeadWorkersTasksNeedNotWait) {
  Publish(*queue_, {{"a", ""}, {"b", ""}});
  const auto lease = Pull(*queue_, "dead");
  const auto other = Pull(*queue_, "alive");
  ASSERT_PULLED(lease);
  ASSERT_PULLED(other);
  EXPECT_EQ(*queue_->Forsake("nobody"), 0u);
  EXPECT_EQ(*queue_->Forsake("dead"), 1u);
  EXPECT_EQ(*queue_->Forsake("dead"), 0u);
  EXPECT_EQ(StatsOf(*queue_).leased, 1u);
  ExpectLost(queue_->Acknowledge(*lease));
  const auto again = Pull(*queue_, "alive", std::chrono::minutes(10), std::chrono::seconds(5));
  ASSERT_PULLED(again);
  EXPECT_EQ(again->task.id, "a");
  EXPECT_EQ(again->attempt, 2u);
  EXPECT_EQ(queue_->Acknowledge(*again), absl::OkStatus());
  EXPECT_EQ(queue_->Acknowledge(*other), absl::OkStatus());
}

TEST_P(QueueConformance, ReplacedBySmallerOnes) {
  Publish(*queue_, {{"large", "0-9"}});
  const auto large = Pull(*queue_);
  ASSERT_PULLED(large);
  const std::vector<Task> halves = {{"large/0", "0-4"}, {"large/1", "5-9"}};
  EXPECT_EQ(queue_->Replace(*large, std::vector<Task>{{"large", ""}}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(queue_->Replace(*large, halves), absl::OkStatus());
  ExpectLost(queue_->Replace(*large, halves));
  for (const Task& half : halves) {
    const auto lease = Pull(*queue_);
    ASSERT_PULLED(lease);
    EXPECT_EQ(lease->task.id, half.id);
    EXPECT_EQ(lease->task.payload, half.payload);
    EXPECT_EQ(lease->attempt, 1u);
    EXPECT_EQ(queue_->Acknowledge(*lease), absl::OkStatus());
  }
  EXPECT_FALSE(Pull(*queue_).has_value());
  EXPECT_EQ(StatsOf(*queue_).acknowledged, 3u);
}

TEST_P(QueueConformance, AReplaceThatIsCutOffLosesAndDoublesNothing) {
  Publish(*queue_, {{"large", "0-9"}});
  const auto killed = Pull(*queue_, "killed", short_lease());
  ASSERT_PULLED(killed);
  const std::vector<Task> halves = {{"large/0", "0-4"}, {"large/1", "5-9"}};
  Publish(*queue_, halves);  // what is left of a Replace that was cut off between
  std::set<std::string> seen;
  for (int i = 0; i < 3; ++i) {
    const auto lease = PullAgain(*queue_);
    ASSERT_PULLED(lease);
    EXPECT_TRUE(seen.insert(lease->task.id).second) << lease->task.id;
    EXPECT_EQ(lease->task.id == "large" ? queue_->Replace(*lease, halves) : queue_->Extend(*lease), absl::OkStatus());
  }
  EXPECT_THAT(seen, testing::ElementsAre("large", "large/0", "large/1"));
  EXPECT_FALSE(Pull(*queue_).has_value());
}

TEST_P(QueueConformance, ManyWorkersGetEachTaskOnce) {
  constexpr int kTasks = 240, kWorkers = 8;
  const auto other = Open();
  ASSERT_NE(other, nullptr);
  Publish(*queue_, Tasks("many/", kTasks));
  std::mutex mutex;
  std::multiset<std::string> seen;
  std::vector<std::thread> workers;
  for (int w = 0; w < kWorkers; ++w) {
    workers.emplace_back([&, w] {
      Queue& queue = w % 2 == 0 ? *queue_ : *other;
      while (const auto lease = Pull(queue, "worker" + std::to_string(w))) {
        EXPECT_EQ(lease->attempt, 1u);
        EXPECT_EQ(queue.Acknowledge(*lease), absl::OkStatus());
        const std::lock_guard lock(mutex);
        seen.insert(lease->task.id);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(seen.size(), static_cast<size_t>(kTasks));
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), static_cast<size_t>(kTasks));
  const QueueStats stats = StatsOf(*queue_);
  EXPECT_EQ(stats.waiting + stats.leased, 0u);
  EXPECT_EQ(stats.delivered, static_cast<uint64_t>(kTasks));
  EXPECT_EQ(stats.acknowledged, static_cast<uint64_t>(kTasks));
}

TEST_P(QueueConformance, StatsAndTasksInFlight) {
  QueueStats stats = StatsOf(*queue_);
  EXPECT_EQ(stats.waiting + stats.leased + stats.delivered + stats.acknowledged, 0u);
  EXPECT_FALSE(stats.oldest_seconds.has_value());
  EXPECT_EQ(stats.done_per_second, 0);
  Publish(*queue_, Tasks("s/", 5));
  const auto done = Pull(*queue_, "one");
  const auto held = Pull(*queue_, "two", std::chrono::seconds(100));
  const auto late = Pull(*queue_, "three", short_lease());
  ASSERT_PULLED(done);
  ASSERT_PULLED(held);
  ASSERT_PULLED(late);
  EXPECT_EQ(queue_->Acknowledge(*done), absl::OkStatus());
  auto flights = queue_->InFlight(10);
  ASSERT_TRUE(flights.ok()) << flights.status();
  ASSERT_EQ(flights->size(), 2u);
  EXPECT_EQ(flights->front().id, "s/1");
  EXPECT_EQ(flights->front().worker, "two");
  EXPECT_EQ(flights->front().attempt, 1u);
  EXPECT_GT(flights->front().seconds_left, 90);
  EXPECT_LE(flights->front().seconds_left, 100.5);
  EXPECT_EQ(queue_->InFlight(1)->size(), 1u);
  std::this_thread::sleep_for(short_lease() + std::chrono::milliseconds(200));
  flights = queue_->InFlight(10);
  ASSERT_TRUE(flights.ok()) << flights.status();
  EXPECT_EQ(flights->size(), 1u) << "a lease that ran out is in nobody's hands";
  stats = StatsOf(*queue_);
  EXPECT_EQ(stats.waiting, 3u);
  EXPECT_EQ(stats.leased, 1u);
  EXPECT_EQ(stats.delivered, 3u);
  EXPECT_EQ(stats.acknowledged, 1u);
  EXPECT_GT(stats.done_per_second, 0);
  EXPECT_LE(stats.done_per_second, 1);
  ASSERT_TRUE(stats.oldest_seconds.has_value());
  EXPECT_LT(*stats.oldest_seconds, 60);
}

TEST_P(QueueConformance, PurgeTakesOutAFolderOrAll) {
  Publish(*queue_, {{"a/1", ""}, {"a/2/x", ""}, {"ab/1", ""}, {"a", ""}, {"b/1", ""}});
  const auto held = Pull(*queue_);
  ASSERT_PULLED(held);
  EXPECT_EQ(held->task.id, "a/1");
  const auto purged = queue_->Purge("a/");
  ASSERT_TRUE(purged.ok()) << purged.status();
  EXPECT_EQ(*purged, 2u);
  ExpectLost(queue_->Extend(*held));
  ExpectLost(queue_->Acknowledge(*held));
  EXPECT_EQ(StatsOf(*queue_).waiting, 3u);
  EXPECT_EQ(StatsOf(*queue_).leased, 0u);
  EXPECT_EQ(Publish(*queue_, {{"a/1", "new"}}), 1u);
  EXPECT_EQ(*queue_->Purge(""), 4u);
  EXPECT_FALSE(Pull(*queue_).has_value());
  EXPECT_EQ(queue_->Purge("a").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(QueueConformance, AnyIdAndAnyTextTravel) {
  std::string payload = "{\"text\": \"'quoted' \\u00fc \xc3\xbc \xf0\x9f\x90\xa6\n:name $1 ?\"}";
  payload.resize(kMaxTaskPayloadBytes, 'x');
  const std::string id = "deep.model=1.5/2026-01-02/*/>/$JS,:;'\"\\%~" + std::string(100, '^');
  Publish(*queue_, {{id, payload}});
  const auto lease = Pull(*queue_, "host-1.example/pid 17 \xc3\xbc'\"");
  ASSERT_PULLED(lease);
  EXPECT_EQ(lease->task.id, id);
  EXPECT_EQ(lease->task.payload, payload);
  EXPECT_EQ(queue_->InFlight(9)->front().id, id);
  EXPECT_EQ(queue_->InFlight(9)->front().worker, "host-1.example/pid 17 \xc3\xbc'\"");
  EXPECT_EQ(*queue_->Purge("deep.model=1.5/2026-01-02/*/>/"), 1u);
}

TEST_P(QueueConformance, ALeaseIsAValue) {
  Publish(*queue_, Tasks("v/", 3));
  const auto other = Open();
  ASSERT_NE(other, nullptr);
  for (int i = 0; i < 3; ++i) {
    const auto lease = Pull(*queue_);
    ASSERT_PULLED(lease);
    EXPECT_EQ(other->Extend(*lease), absl::OkStatus());
    EXPECT_EQ(i == 0 ? other->Acknowledge(*lease) : other->Replace(*lease, {}), absl::OkStatus());
  }
  EXPECT_EQ(StatsOf(*other).acknowledged, 3u);
}

// What the process does that the next test starts: pulls, says so, and is killed.
TEST_P(QueueConformance, DISABLED_Hold) {
  if (::getenv(kHold) == nullptr) GTEST_SKIP();
  ASSERT_PULLED(Pull(*queue_, "killed", std::chrono::seconds(2)));
  std::puts("held");
  std::fflush(stdout);
  ::sleep(60);
}

TEST_P(QueueConformance, AKilledWorkersTaskComesAgain) {
  if (!GetParam().shared) GTEST_SKIP() << "tested in a way of its own";
  Publish(*queue_, {{"a", "payload"}});
  const std::string test = testing::UnitTest::GetInstance()->current_test_info()->name();
  const std::string filter = "--gtest_filter=*QueueConformance.DISABLED_Hold" + test.substr(test.find('/'));
  int out[2];
  ASSERT_EQ(::pipe(out), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv(kHold, name_.c_str(), 1);
    ::dup2(out[1], STDOUT_FILENO);
    ::execl("/proc/self/exe", "worker", filter.c_str(), "--gtest_also_run_disabled_tests", nullptr);
    ::_exit(127);
  }
  ::close(out[1]);
  std::string said;
  for (char c; said.find("held\n") == std::string::npos && ::read(out[0], &c, 1) == 1;) said += c;
  ::close(out[0]);
  EXPECT_THAT(said, testing::HasSubstr("held"));
  EXPECT_FALSE(Pull(*queue_).has_value());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  const auto again = PullAgain(*queue_);
  ASSERT_PULLED(again);
  EXPECT_EQ(again->attempt, 2u);
  EXPECT_EQ(queue_->Acknowledge(*again), absl::OkStatus());
}

TEST_P(QueueConformance, WhatCannotBeIsRefused) {
  const auto code = absl::StatusCode::kInvalidArgument;
  for (const std::string id : {"", "/a", "a/", "a//b", "a b", "a\n", "\xc3\xbc"}) {
    EXPECT_EQ(queue_->Publish(std::vector<Task>{{"good", ""}, {id, ""}}).status().code(), code) << id;
  }
  EXPECT_EQ(queue_->Publish(std::vector<Task>{{std::string(201, 'a'), ""}}).status().code(), code);
  for (const std::string& payload : {std::string(kMaxTaskPayloadBytes + 1, 'a'), std::string("a\0b", 3),
                                     std::string("\xff"), std::string("\xc3"), std::string("\xed\xa0\x80")}) {
    EXPECT_EQ(queue_->Publish(std::vector<Task>{{"a", payload}}).status().code(), code);
  }
  EXPECT_EQ(StatsOf(*queue_).waiting, 0u) << "checked before anything is published";
  const std::chrono::milliseconds minute = std::chrono::minutes(1), none(0);
  EXPECT_EQ(queue_->Pull("", minute, none).status().code(), code);
  EXPECT_EQ(queue_->Pull("w", none, none).status().code(), code);
  EXPECT_EQ(queue_->Pull("w", std::chrono::hours(25), none).status().code(), code);
  for (const std::string token : {"", "nonsense", "1", "1.2.3", "x 1 2"}) {
    ExpectLost(queue_->Acknowledge(Lease{.task = {"a", ""}, .duration = minute, .token = token}));
  }
}

}  // namespace likeness
