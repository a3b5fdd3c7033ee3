#include "cluster/rpc.h"

#include <string>

namespace likeness {

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()), MessageOf(status));
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

std::chrono::nanoseconds TimeLeft(std::chrono::system_clock::time_point deadline) {
  const auto now = std::chrono::system_clock::now();
  if (deadline <= now) return std::chrono::nanoseconds(0);
  // More than a year is no deadline: the library says "never" as the end of all times.
  if (deadline - now > std::chrono::hours(24 * 365)) return std::chrono::nanoseconds::max();
  return deadline - now;
}

}  // namespace likeness
