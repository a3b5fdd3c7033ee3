// What both ends of a call need: statuses, deadlines, limits.
#pragma once

#include <grpcpp/support/status.h>

#include <chrono>

#include "base/status.h"

namespace likeness {

inline constexpr int kMaxMessageBytes = 64 << 20;

// The codes are the same numbers on both sides.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

// Until a deadline of the wall clock; max() when there is none.
std::chrono::nanoseconds TimeLeft(std::chrono::system_clock::time_point deadline);

}  // namespace likeness
