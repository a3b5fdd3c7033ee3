#include "queue/nats_leases.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "queue/nats_subjects.h"

namespace likeness {
namespace {

constexpr const char* kStates[] = {"leased", "returned", "forsaken", "done"};

}  // namespace

std::optional<LeaseRecord> NatsLeases::Parse(natsMsg* message) const {
  const std::string_view subject = natsMsg_GetSubject(message);
  const std::string_view text(natsMsg_GetData(message), static_cast<size_t>(natsMsg_GetDataLength(message)));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !subject.starts_with(prefix_)) return std::nullopt;
  const auto number = [&](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
  };
  const auto word = [&](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  LeaseRecord record;
  record.task = number("task");
  record.publication = word("publication");
  record.delivery = number("delivery");
  record.attempt = static_cast<uint32_t>(number("attempt"));
  record.worker = word("worker");
  record.token = word("token");
  record.reply = word("reply");
  record.lease_ms = static_cast<int64_t>(number("lease_ms"));
  const auto* state = std::ranges::find(kStates, word("state"));
  if (state == std::end(kStates)) return std::nullopt;
  record.state = static_cast<LeaseRecord::State>(state - kStates);
  record.id = IdOf(subject.substr(prefix_.size())).value_or("");
  if (record.task == 0 || record.id.empty()) return std::nullopt;
  return record;
}

NatsResult NatsLeases::Read(std::string_view id, std::optional<LeaseRecord>& record) const {
  return ReadSubject(prefix_ + SubjectOf(id), record);
}

NatsResult NatsLeases::Write(std::string_view id, LeaseRecord& record, std::optional<uint64_t> expected,
                             bool& written) const {
  const std::string text = nlohmann::json{{"task", record.task},
                                          {"publication", record.publication},
                                          {"delivery", record.delivery},
                                          {"attempt", record.attempt},
                                          {"worker", record.worker},
                                          {"token", record.token},
                                          {"reply", record.reply},
                                          {"lease_ms", record.lease_ms},
                                          {"state", kStates[static_cast<size_t>(record.state)]}}
                               .dump();
  natsMsg* raw = nullptr;
  natsStatus status =
      natsMsg_Create(&raw, (prefix_ + SubjectOf(id)).c_str(), nullptr, text.data(), static_cast<int>(text.size()));
  const NatsMessage message(raw);
  if (status != NATS_OK) return {status};
  jsPubOptions options;
  jsPubOptions_Init(&options);
  options.ExpectNoMessage = !expected.has_value();
  options.ExpectLastSubjectSeq = expected.value_or(0);
  jsErrCode error = static_cast<jsErrCode>(0);
  jsPubAck* stored = nullptr;
  status = js_PublishMsg(&stored, connection_.jetstream(), raw, &options, &error);
  written = status == NATS_OK;
  if (written) record.revision = stored->Sequence;
  jsPubAck_Destroy(stored);
  if (error == JSStreamWrongLastSequenceErr) return {};
  return {status, error};
}

NatsResult NatsLeases::Delete(uint64_t revision) const {
  jsErrCode error = static_cast<jsErrCode>(0);
  const natsStatus status = js_DeleteMsg(connection_.jetstream(), stream_.c_str(), revision, nullptr, &error);
  if (error == JSSequenceNotFoundErr || error == JSNoMessageFoundErr || error == JSStreamMsgDeleteFailed) return {};
  return {status, error};
}

NatsResult NatsLeases::ReadSubject(const std::string& subject, std::optional<LeaseRecord>& record) const {
  record.reset();
  natsMsg* raw = nullptr;
  jsErrCode error = static_cast<jsErrCode>(0);
  const natsStatus status =
      js_GetLastMsg(&raw, connection_.jetstream(), stream_.c_str(), subject.c_str(), nullptr, &error);
  const NatsMessage message(raw);
  if (error == JSNoMessageFoundErr) return {};
  if (status != NATS_OK) return {status, error};
  record = Parse(raw);
  if (!record) record.emplace();  // damaged: belongs to no task, so the next delivery takes its place
  record->revision = natsMsg_GetSequence(raw);
  record->written_ns = natsMsg_GetTime(raw);
  return {};
}

NatsResult NatsLeases::List(std::vector<LeaseRecord>& records) const {
  records.clear();
  const std::string all = prefix_ + ">";
  jsOptions options;
  jsOptions_Init(&options);
  options.Stream.Info.SubjectsFilter = all.c_str();
  jsStreamInfo* raw = nullptr;
  jsErrCode error = static_cast<jsErrCode>(0);
  const natsStatus status = js_GetStreamInfo(&raw, connection_.jetstream(), stream_.c_str(), &options, &error);
  const std::unique_ptr<jsStreamInfo, NatsDestroyer<jsStreamInfo_Destroy>> info(raw);
  if (status != NATS_OK) return {status, error};
  const jsStreamStateSubjects* subjects = info->State.Subjects;
  for (int i = 0; subjects != nullptr && i < subjects->Count; ++i) {
    std::optional<LeaseRecord> record;
    if (const NatsResult read = ReadSubject(subjects->List[i].Subject, record); !read.ok()) return read;
    if (record && record->task != 0) records.push_back(*std::move(record));
  }
  std::ranges::sort(records, {}, &LeaseRecord::task);
  return {};
}

}  // namespace likeness
