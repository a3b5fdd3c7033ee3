// What the engines of the queue accept, checked before anything is done. Any thread.
#pragma once

#include <chrono>
#include <span>
#include <string_view>

#include "queue/queue.h"

namespace likeness {

// Errors of all: InvalidArgument, naming the task.
absl::Status CheckTasks(std::span<const Task> tasks);
absl::Status CheckReplacement(const Lease& lease, std::span<const Task> tasks);
absl::Status CheckPull(std::string_view worker, std::chrono::milliseconds lease);
absl::Status CheckPrefix(std::string_view prefix);

// FailedPrecondition, for every engine in the same words.
absl::Status LeaseLost(const Lease& lease);

}  // namespace likeness
