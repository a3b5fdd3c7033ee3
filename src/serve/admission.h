// A gate before expensive work: so much at once, so much waiting for a short time, and the rest is sent away.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/status.h"

namespace likeness {

struct AdmissionOptions {
  size_t at_once = 2;
  size_t waiting = 8;                    // callers that may wait at the same time
  std::chrono::milliseconds wait{1000};  // for a place, at most
};

// Any thread. Holds no more than `waiting` callers back, and none for longer than `wait`: overload never stalls.
class Admission {
 public:
  // A place inside, given back at the end of its life. Must not outlive the gate.
  class Ticket {
   public:
    explicit Ticket(Admission* gate) : gate_(gate) {}
    Ticket(Ticket&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (gate_ != nullptr) gate_->Leave();
    }

   private:
    Admission* gate_;
  };

  // `what` is for messages: "searches". REQUIRES: options.at_once > 0
  Admission(std::string what, const AdmissionOptions& options) : what_(std::move(what)), options_(options) {}

  // Errors: Unavailable, at once when enough are waiting, else after the wait; DeadlineExceeded.
  absl::StatusOr<Ticket> Enter(Deadline deadline);

  const AdmissionOptions& options() const { return options_; }

 private:
  void Leave();

  const std::string what_;
  const AdmissionOptions options_;
  std::mutex mutex_;
  std::condition_variable left_;
  size_t inside_ = 0;   // guarded by mutex_
  size_t waiting_ = 0;  // guarded by mutex_
};

}  // namespace likeness
