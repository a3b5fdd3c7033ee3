#include <algorithm>

#include "engines/queue_conformance.h"
#include "queue/nats_subjects.h"
#include "queue/sql_queue.h"
#include "support/scratch_folder.h"

namespace likeness {
namespace {

QueueEngine Sqlite() {
  auto folder = std::make_shared<ScratchFolder>();
  return {.name = "sqlite",
          .open = [folder](const std::string& name) { return OpenSqliteQueue(folder->path() / (name + ".sqlite")); },
          .shared = false,
          .short_lease = std::chrono::milliseconds(200)};
}

INSTANTIATE_TEST_SUITE_P(Sqlite, QueueConformance, testing::Values(Sqlite()));

// The machine's time in the hands of a test.
struct FakeUptime {
  std::string boot = "first";
  int64_t milliseconds = 1'000'000;
};

class SqliteQueue : public testing::Test {
 protected:
  std::unique_ptr<Queue> Open() {
    auto queue = OpenSqliteQueue(path(), [this] { return MachineTime{time_.boot, time_.milliseconds}; });
    EXPECT_TRUE(queue.ok()) << queue.status();
    return queue.ok() ? *std::move(queue) : nullptr;
  }
  std::filesystem::path path() const { return folder_.path() / "queue.sqlite"; }
  static std::optional<Lease> Pull(Queue& queue) {
    return *queue.Pull("worker", std::chrono::seconds(10), std::chrono::milliseconds(0));
  }

  ScratchFolder folder_;
  FakeUptime time_;
};

TEST_F(SqliteQueue, LeasesRunByTheMachinesUptimeAlone) {
  const auto queue = Open();
  ASSERT_TRUE(queue->Publish(std::vector<Task>{{"a", ""}}).ok());
  ASSERT_TRUE(Pull(*queue).has_value());
  time_.milliseconds += 9'999;
  EXPECT_FALSE(Pull(*queue).has_value());
  time_.milliseconds += 1;
  const auto second = Pull(*queue);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->attempt, 2u);
}

TEST_F(SqliteQueue, AMachineThatStartsAnewEndsAllLeases) {
  auto queue = Open();
  ASSERT_TRUE(queue->Publish(std::vector<Task>{{"a", ""}}).ok());
  ASSERT_TRUE(Pull(*queue).has_value());
  queue = Open();
  EXPECT_FALSE(Pull(*queue).has_value()) << "the same start: the lease holds";
  time_ = {"second", 5'000};
  queue = Open();
  const auto second = Pull(*queue);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->attempt, 2u);
}

TEST_F(SqliteQueue, AKilledHolderLosesItsLease) {
  const auto queue = Open();
  ASSERT_TRUE(queue->Publish(std::vector<Task>{{"a", ""}}).ok());
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto own = OpenSqliteQueue(path(), [this] { return MachineTime{time_.boot, time_.milliseconds}; });
    const auto lease = (*own)->Pull("killed", std::chrono::seconds(10), std::chrono::milliseconds(0));
    const char answer = lease.ok() && lease->has_value() ? 'y' : 'n';
    (void)!::write(ready[1], &answer, 1);
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(Pull(*queue).has_value());
  EXPECT_EQ(queue->InFlight(1)->front().worker, "killed");
  time_.milliseconds += 10'000;
  const auto second = Pull(*queue);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->attempt, 2u);
}

TEST_F(SqliteQueue, FilesThatAreNoQueueAreRefused) {
  EXPECT_EQ(OpenSqliteQueue(folder_.path() / "missing" / "queue.sqlite").status().code(),
            absl::StatusCode::kFailedPrecondition);
  FILE* file = ::fopen(path().c_str(), "w");
  ::fputs(std::string(5000, 'x').c_str(), file);
  ::fclose(file);
  const absl::Status status = OpenSqliteQueue(path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("queue.sqlite"));
}

TEST(NatsSubjects, HoldAnyId) {
  EXPECT_EQ(SubjectOf("deep.model/2026-01-02/*/7"), "deep=2emodel.2026-01-02.=2a.7");
  std::string id;
  for (char c = '!'; c <= '~'; ++c) {
    if (c != '/') id += c;
  }
  id = id + "/" + id;
  const std::string subject = SubjectOf(id);
  EXPECT_EQ(subject.find_first_of("*>$ "), std::string::npos);
  EXPECT_EQ(std::ranges::count(subject, '.'), 1);
  EXPECT_EQ(IdOf(subject), id);
  for (const std::string wrong : {"=", "=2", "=2x", "a b", "a/b", "*"}) EXPECT_EQ(IdOf(wrong), std::nullopt) << wrong;
}

TEST(Uptime, GoesOn) {
  const MachineTime first = Uptime();
  EXPECT_FALSE(first.boot.empty());
  EXPECT_GT(first.milliseconds, 0);
  EXPECT_GE(Uptime().milliseconds, first.milliseconds);
  EXPECT_EQ(Uptime().boot, first.boot);
}

}  // namespace
}  // namespace likeness
