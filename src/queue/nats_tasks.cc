#include "queue/nats_tasks.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "queue/nats_subjects.h"

namespace likeness {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr size_t kPublishWindow = 256;         // messages on their way at once
constexpr milliseconds kLeastWait{100};        // servers learn of a new message one after the other
constexpr milliseconds kLongestRequest{2000};  // a request is lost with the leader that it waits at
constexpr milliseconds kAnswerWithin{2000};
constexpr const char* kPublication = "Nats-Msg-Id";  // by this header servers know a message that they have

// Reads "$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE...", with two tokens more after "ACK" where servers name their
// domain and account.
bool ParseReply(NatsDelivery& delivery) {
  std::vector<std::string_view> tokens;
  const std::string_view text = delivery.reply;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('.', begin), text.size());
    tokens.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  const size_t first = tokens.size() == 9 ? 4 : 6;
  if (tokens.size() < 9 || tokens.size() <= first + 1 || tokens[0] != "$JS" || tokens[1] != "ACK") return false;
  delivery.delivered = std::strtoull(std::string(tokens[first]).c_str(), nullptr, 10);
  delivery.sequence = std::strtoull(std::string(tokens[first + 1]).c_str(), nullptr, 10);
  return delivery.delivered > 0 && delivery.sequence > 0;
}

// What the stream answered to a message: stored, or there already.
NatsResult AnswerOf(natsMsg* answer, bool& is_new) {
  const char* status = nullptr;
  if (natsMsgHeader_Get(answer, "Status", &status) == NATS_OK) return {NATS_NO_RESPONDERS};
  const std::string_view text(natsMsg_GetData(answer), static_cast<size_t>(natsMsg_GetDataLength(answer)));
  const json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) return {NATS_PROTOCOL_ERROR};
  const auto error = parsed.find("error");
  is_new = error == parsed.end();
  if (is_new) return {};
  const int code = error->value("err_code", 0);
  const std::string description = error->value("description", "");
  if (code == JSStreamStoreFailedErr && description.find("per subject") != std::string::npos) return {};
  return {NATS_ERR, code};
}

}  // namespace

absl::Status NatsTasks::Publish(std::span<const Task> tasks, uint64_t& added) const {
  while (!tasks.empty()) {
    const auto window = tasks.first(std::min(tasks.size(), kPublishWindow));
    LIKENESS_RETURN_IF_ERROR(PublishWindow(window, added));
    tasks = tasks.subspan(window.size());
  }
  return absl::OkStatus();
}

absl::Status NatsTasks::PublishWindow(std::span<const Task> tasks, uint64_t& added) const {
  natsInbox* inbox = nullptr;
  if (natsInbox_Create(&inbox) != NATS_OK) return absl::InternalError("queue: out of memory");
  const std::string answers = std::string(inbox) + ".";
  natsInbox_Destroy(inbox);
  natsSubscription* raw = nullptr;
  std::vector<bool> answered(tasks.size(), false);
  size_t left = tasks.size();
  const auto once = [&]() -> NatsResult {
    natsStatus status = NATS_OK;
    if (raw == nullptr) status = natsConnection_SubscribeSync(&raw, connection_.connection(), (answers + "*").c_str());
    if (status != NATS_OK) return {status};
    for (size_t i = 0; i < tasks.size(); ++i) {
      if (answered[i]) continue;
      status = Send(tasks[i], answers + std::to_string(i));
      if (status != NATS_OK) return {status};
    }
    NatsResult passing{NATS_TIMEOUT};
    const Deadline deadline = Deadline::After(kAnswerWithin);
    while (left > 0 && !deadline.Passed()) {
      natsMsg* next = nullptr;
      status = natsSubscription_NextMsg(&next, raw, kAnswerWithin.count());
      if (status != NATS_OK) return {status};
      const NatsMessage answer(next);
      const size_t i = std::strtoull(natsMsg_GetSubject(next) + answers.size(), nullptr, 10);
      if (i >= tasks.size() || answered[i]) continue;
      bool is_new = false;
      const NatsResult result = AnswerOf(next, is_new);
      if (result.Passing()) {
        passing = result;
        std::this_thread::sleep_for(milliseconds(1));
        continue;
      }
      if (!result.ok()) return result;
      answered[i] = true;
      added += is_new;
      --left;
    }
    return left == 0 ? NatsResult{} : passing;
  };
  const NatsResult result = connection_.Persist(timeout_, once);
  const NatsSubscription subscription(raw);
  return connection_.StatusOf(result, "cannot publish");
}

// Where the answer is awaited names this message and no other: sent again because its answer was lost with a leader, it
// is not stored again, though the task may be done and gone by then.
natsStatus NatsTasks::Send(const Task& task, const std::string& answer) const {
  natsMsg* raw = nullptr;
  natsStatus status = natsMsg_Create(&raw, (prefix_ + SubjectOf(task.id)).c_str(), answer.c_str(), task.payload.data(),
                                     static_cast<int>(task.payload.size()));
  const NatsMessage message(raw);
  if (status == NATS_OK) status = natsMsgHeader_Set(raw, kPublication, answer.c_str());
  return status == NATS_OK ? natsConnection_PublishMsg(connection_.connection(), raw) : status;
}

NatsResult NatsTasks::Fetch(const Deadline& deadline, std::optional<NatsDelivery>& delivery) const {
  const auto left = std::chrono::duration_cast<milliseconds>(deadline.when() - std::chrono::steady_clock::now());
  const milliseconds wait = std::clamp(left, kLeastWait, kLongestRequest);
  natsInbox* inbox = nullptr;
  natsSubscription* raw = nullptr;
  natsStatus status = natsInbox_Create(&inbox);
  if (status == NATS_OK) status = natsConnection_SubscribeSync(&raw, connection_.connection(), inbox);
  const NatsSubscription subscription(raw);
  const std::string body = json{{"batch", 1}, {"expires", wait.count() * 1'000'000}}.dump();
  if (status == NATS_OK) {
    status = natsConnection_PublishRequest(connection_.connection(),
                                           ("$JS.API.CONSUMER.MSG.NEXT." + stream_ + "." + consumer_).c_str(), inbox,
                                           body.data(), static_cast<int>(body.size()));
  }
  natsInbox_Destroy(inbox);
  natsMsg* next = nullptr;
  if (status == NATS_OK) status = natsSubscription_NextMsg(&next, raw, (wait + milliseconds(500)).count());
  const NatsMessage message(next);
  if (status != NATS_OK) return {status};
  const char* code = nullptr;
  if (natsMsgHeader_Get(next, "Status", &code) == NATS_OK) {
    const std::string_view what = code == nullptr ? "" : code;
    if (what == "404" || what == "408") return {};
    return {NATS_NO_RESPONDERS};  // 409, 503: the leader goes
  }
  NatsDelivery got;
  const std::string_view subject = natsMsg_GetSubject(next);
  got.reply = natsMsg_GetReply(next) == nullptr ? "" : natsMsg_GetReply(next);
  got.payload.assign(natsMsg_GetData(next), static_cast<size_t>(natsMsg_GetDataLength(next)));
  if (subject.starts_with(prefix_)) got.id = IdOf(subject.substr(prefix_.size())).value_or("");
  const char* publication = nullptr;
  if (natsMsgHeader_Get(next, kPublication, &publication) == NATS_OK && publication != nullptr) {
    got.publication = publication;
  }
  if (!ParseReply(got)) return {NATS_PROTOCOL_ERROR};
  if (got.id.empty()) return connection_.Request(got.reply, "+TERM", nullptr);  // put there by somebody else: no task
  delivery = std::move(got);
  return {};
}

NatsResult NatsTasks::Delete(uint64_t sequence) const {
  jsErrCode error = static_cast<jsErrCode>(0);
  const natsStatus status = js_DeleteMsg(connection_.jetstream(), stream_.c_str(), sequence, nullptr, &error);
  if (error == JSSequenceNotFoundErr || error == JSNoMessageFoundErr || error == JSStreamMsgDeleteFailed) return {};
  return {status, error};
}

}  // namespace likeness
