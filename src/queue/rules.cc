#include "queue/rules.h"

#include <algorithm>

namespace likeness {
namespace {

constexpr size_t kMaxWorkerBytes = 200;

// What is wrong with an id or a prefix, or nothing.
std::string_view FaultOfPath(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.size() > kMaxTaskIdBytes) return "is longer than 200 bytes";
  if (!std::ranges::all_of(path, [](char c) { return c > ' ' && c <= '~'; })) {
    return "has a character that is not printable ASCII";
  }
  if (path.front() == '/' || path.find("//") != std::string_view::npos) return "has an empty part";
  return "";
}

// UTF-8 as RFC 3629 has it, without NUL, since databases refuse anything else in a column of text.
bool IsText(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (lead == 0 || length == 0 || i + length > bytes.size()) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(bytes[i + k]) & 0xC0) != 0x80) return false;
    }
    if (length >= 3) {
      const auto second = static_cast<unsigned char>(bytes[i + 1]);
      if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0) || (lead == 0xF0 && second < 0x90) ||
          (lead == 0xF4 && second >= 0x90)) {
        return false;
      }
    }
    i += length;
  }
  return true;
}

}  // namespace

absl::Status CheckTasks(std::span<const Task> tasks) {
  for (const Task& task : tasks) {
    std::string_view fault = FaultOfPath(task.id);
    if (fault.empty() && task.id.back() == '/') fault = "has an empty part";
    if (fault.empty() && task.payload.size() > kMaxTaskPayloadBytes) fault = "has a payload of 64 KiB or more";
    if (fault.empty() && !IsText(task.payload)) fault = "has a payload that is not text";
    if (!fault.empty()) {
      return absl::InvalidArgumentError("the task \"" + task.id.substr(0, kMaxTaskIdBytes) + "\" " +
                                        std::string(fault));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckReplacement(const Lease& lease, std::span<const Task> tasks) {
  if (std::ranges::any_of(tasks, [&](const Task& task) { return task.id == lease.task.id; })) {
    return absl::InvalidArgumentError("the task \"" + lease.task.id + "\" cannot be replaced by one of the same id");
  }
  return CheckTasks(tasks);
}

absl::Status CheckPull(std::string_view worker, std::chrono::milliseconds lease) {
  if (worker.empty() || worker.size() > kMaxWorkerBytes || !IsText(worker)) {
    return absl::InvalidArgumentError("a worker's name is text of 1 to 200 bytes");
  }
  if (lease.count() <= 0 || lease > std::chrono::hours(24)) {
    return absl::InvalidArgumentError("a lease of " + std::to_string(lease.count()) +
                                      " ms: it must be above 0 and at most a day");
  }
  return absl::OkStatus();
}

absl::Status CheckPrefix(std::string_view prefix) {
  if (prefix.empty() || (FaultOfPath(prefix).empty() && prefix.back() == '/')) return absl::OkStatus();
  return absl::InvalidArgumentError("the prefix \"" + std::string(prefix.substr(0, kMaxTaskIdBytes)) +
                                    "\" must be the first parts of an id and end in '/', or be empty");
}

absl::Status LeaseLost(const Lease& lease) {
  return absl::FailedPreconditionError("the lease of \"" + lease.task.id +
                                       "\" was lost: it ran out, was ended, or the task was taken out");
}

}  // namespace likeness
