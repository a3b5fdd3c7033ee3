#include "queue/nats_queue.h"

#include <algorithm>
#include <array>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>

#include "base/bytes.h"
#include "base/clock.h"
#include "queue/nats_connection.h"
#include "queue/nats_leases.h"
#include "queue/nats_subjects.h"
#include "queue/nats_tasks.h"
#include "queue/rules.h"

namespace likeness {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr const char* kConsumer = "workers";
constexpr int64_t kSecond = 1'000'000'000;       // nanoseconds, which JetStream counts in
constexpr int64_t kUntilClaimed = 30 * kSecond;  // from a delivery until its worker has named its lease
constexpr milliseconds kCounted{2000};           // how long is tried to count an acknowledged task
constexpr int64_t kRecently = 600 * kSecond;     // how long an acknowledged task counts for the rate
// How long the record of a task that is done stays: servers that come back may know of the task, and not yet that it is
// gone, and deliver it again.
constexpr int64_t kDoneStays = 60 * kSecond;

std::string NewToken() {
  std::random_device device;
  std::array<uint32_t, 4> words;
  for (uint32_t& word : words) word = device();
  return HexEncode(std::as_bytes(std::span(words)));
}

// What Lease::token holds: the record's token, the task's sequence, and where to answer the delivery.
struct Held {
  std::string token;
  uint64_t sequence = 0;
  std::string reply;

  std::string Text() const { return token + " " + std::to_string(sequence) + " " + reply; }
  static std::optional<Held> Parse(const std::string& text) {
    const size_t first = text.find(' '), second = text.find(' ', first + 1);
    if (first == std::string::npos || second == std::string::npos) return std::nullopt;
    Held held{text.substr(0, first), std::strtoull(text.c_str() + first, nullptr, 10), text.substr(second + 1)};
    if (held.sequence == 0 || !held.reply.starts_with("$JS.ACK.")) return std::nullopt;
    return held;
  }
};

class NatsQueue final : public Queue {
 public:
  NatsQueue(std::unique_ptr<NatsConnection> connection, const NatsOptions& options)
      : connection_(std::move(connection)),
        name_(options.name),
        replicas_(options.replicas),
        open_timeout_(options.open_timeout),
        call_timeout_(options.call_timeout),
        tasks_(*connection_, tasks_stream(), name_ + ".task.", kConsumer, call_timeout_),
        leases_(*connection_, leases_stream(), name_ + ".lease.") {}

  // Makes what is missing on the servers.
  absl::Status Prepare() {
    const Deadline deadline = Deadline::After(open_timeout_);
    const auto persist = [&](const std::function<NatsResult()>& call) {
      const auto left = std::chrono::duration_cast<milliseconds>(deadline.when() - std::chrono::steady_clock::now());
      return connection_->Persist(left, call);
    };
    jsStreamConfig tasks = Config();
    tasks.Retention = js_WorkQueuePolicy;
    tasks.MaxMsgsPerSubject = 1;
    tasks.Discard = js_DiscardNew;
    tasks.DiscardNewPerSubject = true;
    LIKENESS_RETURN_IF_ERROR(MakeStream(persist, tasks_stream(), name_ + ".task.>", tasks));
    jsStreamConfig leases = Config();
    leases.MaxMsgsPerSubject = 1;
    LIKENESS_RETURN_IF_ERROR(MakeStream(persist, leases_stream(), name_ + ".lease.>", leases));
    jsStreamConfig done = Config();
    done.MaxAge = kRecently;
    done.MaxMsgs = 1'000'000;
    LIKENESS_RETURN_IF_ERROR(MakeStream(persist, done_stream(), name_ + ".done", done));
    jsConsumerConfig consumer;
    jsConsumerConfig_Init(&consumer);
    consumer.Durable = kConsumer;
    consumer.AckPolicy = js_AckExplicit;
    consumer.AckWait = kUntilClaimed;
    consumer.MaxAckPending = 100'000;
    consumer.MaxWaiting = 16'384;
    const NatsResult made = persist([&]() -> NatsResult {
      jsConsumerInfo* info = nullptr;
      jsErrCode error = static_cast<jsErrCode>(0);
      natsStatus status = js_GetConsumerInfo(&info, jetstream(), tasks_stream().c_str(), kConsumer, nullptr, &error);
      jsConsumerInfo_Destroy(info);
      if (error != JSConsumerNotFoundErr) return {status, error};
      status = js_AddConsumer(nullptr, jetstream(), tasks_stream().c_str(), &consumer, nullptr, &error);
      return {status, error};
    });
    return connection_->StatusOf(made, "cannot make the consumer " + std::string(kConsumer));
  }

  absl::StatusOr<uint64_t> Publish(std::span<const Task> tasks) override {
    LIKENESS_RETURN_IF_ERROR(CheckTasks(tasks));
    uint64_t added = 0;
    LIKENESS_RETURN_IF_ERROR(tasks_.Publish(tasks, added));
    return added;
  }

  absl::StatusOr<std::optional<Lease>> Pull(std::string_view worker, milliseconds lease, milliseconds wait) override {
    LIKENESS_RETURN_IF_ERROR(CheckPull(worker, lease));
    const Deadline deadline = Deadline::After(wait);
    for (;;) {
      std::optional<NatsDelivery> delivery;
      const NatsResult fetched = connection_->Persist(call_timeout_, [&] { return tasks_.Fetch(deadline, delivery); });
      if (!fetched.ok()) return connection_->StatusOf(fetched, "cannot pull");
      if (delivery) {
        std::optional<Lease> taken;
        LIKENESS_RETURN_IF_ERROR(Claim(*delivery, std::string(worker), lease, taken));
        if (taken) return taken;
      } else if (deadline.Passed()) {
        return std::nullopt;
      }
    }
  }

  absl::Status Extend(const Lease& lease) override {
    LeaseRecord record;
    LIKENESS_RETURN_IF_ERROR(Rewrite(
        lease, [&](LeaseRecord& held) { held.lease_ms = lease.duration.count(); }, record));
    return Delay(Held::Parse(lease.token)->reply, lease.duration);
  }

  absl::Status Acknowledge(const Lease& lease) override {
    LeaseRecord record;
    LIKENESS_RETURN_IF_ERROR(Rewrite(
        lease,
        [](LeaseRecord& ended) {
          ended.state = LeaseRecord::State::kDone;
          ended.token = "+" + ended.token;
        },
        record));
    // From here on the task is done: when this is cut off, whoever gets it next finds that written down.
    const NatsResult deleted = connection_->Persist(call_timeout_, [&] { return tasks_.Delete(record.task); });
    if (!deleted.ok()) return connection_->StatusOf(deleted, "cannot acknowledge");
    // The rest is tidying.
    TidyDone(record.revision);
    (void)Answer(Held::Parse(lease.token)->reply, "+ACK");
    jsPubOptions once;
    jsPubOptions_Init(&once);
    once.MsgId = record.token.c_str();
    natsMsg* raw = nullptr;
    if (natsMsg_Create(&raw, (name_ + ".done").c_str(), nullptr, nullptr, 0) == NATS_OK) {
      const NatsMessage message(raw);
      (void)connection_->Persist(
          kCounted, [&]() -> NatsResult { return {js_PublishMsg(nullptr, jetstream(), raw, &once, nullptr)}; });
    }
    return absl::OkStatus();
  }

  absl::Status Return(const Lease& lease) override {
    LeaseRecord record;
    LIKENESS_RETURN_IF_ERROR(Rewrite(
        lease,
        [](LeaseRecord& ended) {
          ended.state = LeaseRecord::State::kReturned;
          ended.token = "-" + ended.token;
        },
        record));
    const NatsResult answered =
        connection_->Persist(call_timeout_, [&] { return Answer(Held::Parse(lease.token)->reply, "-NAK"); });
    return connection_->StatusOf(answered, "cannot return a task");
  }

  absl::Status Replace(const Lease& lease, std::span<const Task> tasks) override {
    LIKENESS_RETURN_IF_ERROR(CheckReplacement(lease, tasks));
    LIKENESS_RETURN_IF_ERROR(Extend(lease));
    if (const auto published = Publish(tasks); !published.ok()) return published.status();
    return Acknowledge(lease);
  }

  absl::StatusOr<uint64_t> Forsake(std::string_view worker) override {
    std::vector<LeaseRecord> records;
    LIKENESS_RETURN_IF_ERROR(ListLeases(records));
    uint64_t ended = 0;
    for (LeaseRecord& record : records) {
      if (record.worker != worker || record.state != LeaseRecord::State::kLeased) continue;
      record.state = LeaseRecord::State::kForsaken;
      record.token = "!" + record.token;
      bool written = false;
      const NatsResult wrote = connection_->Persist(
          call_timeout_, [&] { return leases_.Write(record.id, record, record.revision, written); });
      if (!wrote.ok()) return connection_->StatusOf(wrote, "cannot end a lease");
      if (!written) continue;  // changed meanwhile: not dead, or its task has gone on
      ++ended;
      const NatsResult answered = connection_->Persist(call_timeout_, [&] { return Answer(record.reply, "-NAK"); });
      if (!answered.ok()) return connection_->StatusOf(answered, "cannot end a lease");
    }
    return ended;
  }

  absl::StatusOr<QueueStats> Stats() override {
    QueueStats stats;
    std::vector<LeaseRecord> records;
    int64_t oldest = 0, since = 0;
    uint64_t all = 0, recent = 0;
    LIKENESS_RETURN_IF_ERROR(Ask("the tasks", [&]() -> NatsResult {
      jsStreamInfo* info = nullptr;
      jsErrCode error = static_cast<jsErrCode>(0);
      const natsStatus status = js_GetStreamInfo(&info, jetstream(), tasks_stream().c_str(), nullptr, &error);
      if (status != NATS_OK) return {status, error};
      all = info->State.Msgs;
      oldest = info->State.FirstTime;
      jsStreamInfo_Destroy(info);
      return {};
    }));
    LIKENESS_RETURN_IF_ERROR(Ask("what was done", [&]() -> NatsResult {
      jsStreamInfo* info = nullptr;
      jsErrCode error = static_cast<jsErrCode>(0);
      const natsStatus status = js_GetStreamInfo(&info, jetstream(), done_stream().c_str(), nullptr, &error);
      if (status != NATS_OK) return {status, error};
      stats.acknowledged = info->State.LastSeq;
      recent = info->State.Msgs;
      since = info->State.FirstTime;
      jsStreamInfo_Destroy(info);
      return {};
    }));
    LIKENESS_RETURN_IF_ERROR(Ask("the consumer", [&]() -> NatsResult {
      jsConsumerInfo* info = nullptr;
      jsErrCode error = static_cast<jsErrCode>(0);
      const natsStatus status =
          js_GetConsumerInfo(&info, jetstream(), tasks_stream().c_str(), kConsumer, nullptr, &error);
      if (status != NATS_OK) return {status, error};
      stats.delivered = info->Delivered.Consumer;
      jsConsumerInfo_Destroy(info);
      return {};
    }));
    LIKENESS_RETURN_IF_ERROR(ListLeases(records));
    const int64_t now = Now();
    for (const LeaseRecord& record : records) stats.leased += SecondsLeft(record, now) > 0;
    stats.leased = std::min(stats.leased, all);
    stats.waiting = all - stats.leased;
    const auto seconds = [&](int64_t time) { return static_cast<double>(now - time) / kSecond; };
    if (all > 0) stats.oldest_seconds = std::max(0.0, seconds(oldest));
    if (recent > 0) stats.done_per_second = static_cast<double>(recent) / std::max(1.0, seconds(since));
    return stats;
  }

  absl::StatusOr<std::vector<TaskInFlight>> InFlight(uint64_t limit) override {
    std::vector<LeaseRecord> records;
    LIKENESS_RETURN_IF_ERROR(ListLeases(records));
    std::vector<TaskInFlight> tasks;
    const int64_t now = Now();
    for (const LeaseRecord& record : records) {
      const double left = SecondsLeft(record, now);
      if (left > 0 && tasks.size() < limit) tasks.push_back({record.id, record.worker, record.attempt, left});
    }
    return tasks;
  }

  absl::StatusOr<uint64_t> Purge(std::string_view prefix) override {
    LIKENESS_RETURN_IF_ERROR(CheckPrefix(prefix));
    const std::string subjects = prefix.empty() ? ">" : SubjectOf(prefix) + ">";
    uint64_t purged = 0, leases = 0;
    // Tasks first: a lease without a task is nothing, and a task whose lease is gone would be one more attempt.
    LIKENESS_RETURN_IF_ERROR(PurgeStream(tasks_stream(), name_ + ".task." + subjects, purged));
    LIKENESS_RETURN_IF_ERROR(PurgeStream(leases_stream(), name_ + ".lease." + subjects, leases));
    return purged;
  }

 private:
  jsCtx* jetstream() const { return connection_->jetstream(); }
  std::string tasks_stream() const { return name_ + "-tasks"; }
  std::string leases_stream() const { return name_ + "-leases"; }
  std::string done_stream() const { return name_ + "-done"; }

  absl::Status Ask(const std::string& what, const std::function<NatsResult()>& call) const {
    return connection_->StatusOf(connection_->Persist(call_timeout_, call), "cannot ask for " + what);
  }

  static int64_t Now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::System().Now().time_since_epoch()).count();
  }
  static double SecondsLeft(const LeaseRecord& record, int64_t now) {
    if (record.state != LeaseRecord::State::kLeased) return 0;
    return static_cast<double>(record.lease_ms) / 1e3 - static_cast<double>(now - record.written_ns) / kSecond;
  }

  jsStreamConfig Config() const {
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    config.Storage = js_FileStorage;
    config.Replicas = replicas_;
    return config;
  }

  // What a queue depends on; nothing stands for no limit, as -1 does.
  static bool Same(const jsStreamConfig& a, const jsStreamConfig& b) {
    return a.Retention == b.Retention && a.Replicas == b.Replicas && a.Discard == b.Discard &&
           std::max<int64_t>(a.MaxMsgsPerSubject, 0) == std::max<int64_t>(b.MaxMsgsPerSubject, 0) &&
           a.DiscardNewPerSubject == b.DiscardNewPerSubject && a.SubjectsLen == 1 &&
           std::string_view(a.Subjects[0]) == b.Subjects[0];
  }

  absl::Status MakeStream(const std::function<NatsResult(const std::function<NatsResult()>&)>& persist,
                          const std::string& name, const std::string& subject, jsStreamConfig config) const {
    const char* subjects[] = {subject.c_str()};
    config.Name = name.c_str();
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    // Looked at first: the stream's own leader answers that, where making one takes the leader of the whole cluster.
    const NatsResult made = persist([&]() -> NatsResult {
      jsStreamInfo* raw = nullptr;
      jsErrCode error = static_cast<jsErrCode>(0);
      natsStatus status = js_GetStreamInfo(&raw, jetstream(), name.c_str(), nullptr, &error);
      const std::unique_ptr<jsStreamInfo, NatsDestroyer<jsStreamInfo_Destroy>> info(raw);
      if (status == NATS_OK) return {Same(*info->Config, config) ? NATS_OK : NATS_ERR, JSStreamNameExistErr};
      if (error != JSStreamNotFoundErr) return {status, error};
      status = js_AddStream(nullptr, jetstream(), &config, nullptr, &error);
      if (error == JSStreamNameExistErr) return {NATS_TIMEOUT, error};  // somebody else has just made it: look again
      return {status, error};
    });
    if (made.ok()) return absl::OkStatus();
    if (made.status == NATS_NO_RESPONDERS || made.Is(JSNotEnabledErr) || made.Is(JSNotEnabledForAccountErr)) {
      return absl::FailedPreconditionError(
          "queue: JetStream is off: enable it in the servers' configuration (jetstream { }) and for the account");
    }
    switch (made.error) {
      case JSStreamNameExistErr:
      case JSStreamSubjectOverlapErr:
        return absl::FailedPreconditionError("queue: the servers have a stream " + name +
                                             " that was made with other settings (replicas among them): set the same "
                                             "ones, choose another name for the queue, or delete that stream");
      case JSClusterNoPeersErr:
      case JSStreamReplicasNotSupportedErr:
        return absl::FailedPreconditionError("queue: there are too few NATS servers for " + std::to_string(replicas_) +
                                             " replicas: start more, or set fewer replicas");
      default:
        return connection_->StatusOf(made, "cannot make the stream " + name);
    }
  }

  // Writes down that `worker` holds the task, then lets the lease run. Leaves `taken` empty when the task is done, or a
  // later delivery, or one that a leader forgot when it died, has it.
  absl::Status Claim(const NatsDelivery& delivery, const std::string& worker, milliseconds duration,
                     std::optional<Lease>& taken) const {
    LeaseRecord mine;
    mine.task = delivery.sequence;
    mine.publication = delivery.publication;
    mine.delivery = delivery.delivered;
    mine.worker = worker;
    mine.reply = delivery.reply;
    mine.token = NewToken();
    mine.lease_ms = duration.count();
    bool look = delivery.delivered > 1, stale = false;
    const NatsResult claimed = connection_->Persist(call_timeout_, [&]() -> NatsResult {
      for (;;) {
        std::optional<LeaseRecord> before;
        if (look) {
          if (const NatsResult read = leases_.Read(delivery.id, before); !read.ok()) return read;
        }
        look = true;
        mine.attempt = 1;
        if (before && IsDone(*before, delivery)) {
          stale = true;
          return tasks_.Delete(delivery.sequence);
        }
        if (before && before->task == delivery.sequence) {
          if (before->token == mine.token) return {};
          stale = before->state == LeaseRecord::State::kLeased && before->delivery >= delivery.delivered;
          if (stale) return {};
          mine.attempt = before->attempt + (before->state == LeaseRecord::State::kReturned ? 0 : 1);
        }
        bool written = false;
        const auto expected = before ? std::optional(before->revision) : std::nullopt;
        if (const NatsResult result = leases_.Write(delivery.id, mine, expected, written); !result.ok()) return result;
        if (written) return {};
      }
    });
    LIKENESS_RETURN_IF_ERROR(connection_->StatusOf(claimed, "cannot write down a lease"));
    if (stale) return absl::OkStatus();
    LIKENESS_RETURN_IF_ERROR(Delay(delivery.reply, duration));
    taken = Lease{.task = {delivery.id, delivery.payload},
                  .attempt = mine.attempt,
                  .duration = duration,
                  .token = Held{mine.token, delivery.sequence, delivery.reply}.Text()};
    return absl::OkStatus();
  }

  // Of this very task, or of one that was published with it by a call that had no answer the first time: servers that
  // were away forget which messages they have had, once those are deleted.
  static bool IsDone(const LeaseRecord& record, const NatsDelivery& delivery) {
    return record.state == LeaseRecord::State::kDone &&
           (record.task == delivery.sequence ||
            (!record.publication.empty() && record.publication == delivery.publication));
  }

  // The records of tasks that are not done; those of done ones are deleted when it is time and nobody else has, since
  // their worker has ended.
  absl::Status ListLeases(std::vector<LeaseRecord>& records) {
    LIKENESS_RETURN_IF_ERROR(Ask("the leases", [&] { return leases_.List(records); }));
    const int64_t before = Now() - kDoneStays;
    std::erase_if(records, [&](const LeaseRecord& record) {
      if (record.state != LeaseRecord::State::kDone) return false;
      if (record.written_ns < before) (void)leases_.Delete(record.revision);
      return true;
    });
    return absl::OkStatus();
  }

  // Deletes the record in time, and those of earlier tasks whose time has come.
  void TidyDone(uint64_t revision) {
    const auto now = std::chrono::steady_clock::now();
    std::vector<uint64_t> due;
    {
      const std::lock_guard lock(done_mutex_);
      done_.emplace_back(now, revision);
      while (now - done_.front().first > std::chrono::nanoseconds(kDoneStays)) {
        due.push_back(done_.front().second);
        done_.pop_front();
      }
    }
    for (const uint64_t one : due) (void)leases_.Delete(one);
  }

  // The record of a lease that is still held.
  absl::Status Find(const Lease& lease, LeaseRecord& record) const {
    const std::optional<Held> held = Held::Parse(lease.token);
    if (!held) return LeaseLost(lease);
    std::optional<LeaseRecord> found;
    const NatsResult read = connection_->Persist(call_timeout_, [&] { return leases_.Read(lease.task.id, found); });
    if (!read.ok()) return connection_->StatusOf(read, "cannot look up a lease");
    if (!found || found->token != held->token || found->task != held->sequence) return LeaseLost(lease);
    record = *std::move(found);
    return absl::OkStatus();
  }

  // Puts a changed record in the place of the one of a lease that is still held.
  absl::Status Rewrite(const Lease& lease, const std::function<void(LeaseRecord&)>& change, LeaseRecord& record) const {
    for (;;) {
      LIKENESS_RETURN_IF_ERROR(Find(lease, record));
      const uint64_t revision = record.revision;
      change(record);
      bool written = false;
      const NatsResult result = connection_->Persist(call_timeout_, [&]() -> NatsResult {
        const NatsResult wrote = leases_.Write(lease.task.id, record, revision, written);
        if (!wrote.ok() || written) return wrote;
        // Another one is there by now: perhaps this very record, from a try whose answer was lost.
        std::optional<LeaseRecord> found;
        const NatsResult read = leases_.Read(lease.task.id, found);
        written = read.ok() && found && found->token == record.token && found->state == record.state;
        if (written) record.revision = found->revision;
        return read;
      });
      if (!result.ok()) return connection_->StatusOf(result, "cannot write down a lease");
      if (written) return absl::OkStatus();
    }
  }

  // Lets the consumer deliver the task again when `duration` is over. A negative acknowledgement with a delay sets that
  // time for one message, where the consumer's own wait is the same for all.
  absl::Status Delay(const std::string& reply, milliseconds duration) const {
    const std::string body = "-NAK {\"delay\": " + std::to_string(duration.count() * 1'000'000) + "}";
    const NatsResult answered = connection_->Persist(call_timeout_, [&] { return Answer(reply, body); });
    return connection_->StatusOf(answered, "cannot extend a lease");
  }

  NatsResult Answer(const std::string& reply, std::string_view body) const {
    return connection_->Request(reply, body, nullptr);
  }

  absl::Status PurgeStream(const std::string& stream, const std::string& subjects, uint64_t& purged) const {
    const std::string body = json{{"filter", subjects}}.dump();
    const NatsResult result = connection_->Persist(call_timeout_, [&]() -> NatsResult {
      NatsMessage reply;
      const NatsResult sent = connection_->Request("$JS.API.STREAM.PURGE." + stream, body, &reply);
      if (!sent.ok()) return sent;
      const std::string_view text(natsMsg_GetData(reply.get()),
                                  static_cast<size_t>(natsMsg_GetDataLength(reply.get())));
      const json parsed = json::parse(text, nullptr, false);
      if (!parsed.is_object()) return {NATS_PROTOCOL_ERROR};
      if (const auto error = parsed.find("error"); error != parsed.end())
        return {NATS_ERR, error->value("err_code", 0)};
      purged += parsed.value("purged", uint64_t{0});
      return {};
    });
    return connection_->StatusOf(result, "cannot purge");
  }

  const std::unique_ptr<NatsConnection> connection_;
  const std::string name_;
  const int replicas_;
  const milliseconds open_timeout_;
  const milliseconds call_timeout_;
  const NatsTasks tasks_;
  const NatsLeases leases_;
  std::mutex done_mutex_;
  // When tasks were done, and their records; guarded by done_mutex_.
  std::deque<std::pair<std::chrono::steady_clock::time_point, uint64_t>> done_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Queue>> OpenNatsQueue(const NatsOptions& options) {
  const Stopwatch watch;
  LIKENESS_ASSIGN_OR_RETURN(std::unique_ptr<NatsConnection> connection, NatsConnection::Open(options));
  NatsOptions left = options;
  left.open_timeout -= milliseconds(static_cast<int64_t>(watch.Milliseconds()));
  auto queue = std::make_unique<NatsQueue>(std::move(connection), left);
  LIKENESS_RETURN_IF_ERROR(queue->Prepare());
  return queue;
}

}  // namespace likeness
