#include "serve/admission.h"

#include <algorithm>

namespace likeness {

absl::StatusOr<Admission::Ticket> Admission::Enter(Deadline deadline) {
  std::unique_lock lock(mutex_);
  if (inside_ >= options_.at_once) {
    const absl::Status busy =
        absl::UnavailableError("The server has as many " + what_ + " as it can do at once; ask again in 1 s.");
    if (waiting_ >= options_.waiting) return busy;
    ++waiting_;
    const auto until = std::min(std::chrono::steady_clock::now() + options_.wait, deadline.when());
    const bool free = left_.wait_until(lock, until, [this] { return inside_ < options_.at_once; });
    --waiting_;
    if (!free) return busy;
  }
  if (deadline.Passed()) return absl::DeadlineExceededError("The request took too long; ask again later.");
  ++inside_;
  return Ticket(this);
}

void Admission::Leave() {
  {
    std::lock_guard lock(mutex_);
    --inside_;
  }
  left_.notify_one();
}

}  // namespace likeness
