// A clock that stands where it is put.
#pragma once

#include <chrono>

#include "base/clock.h"
#include "types/epoch.h"

namespace likeness {

class FixedClock final : public Clock {
 public:
  // At the beginning of `day`, such as "2026-11-22".
  explicit FixedClock(const char* day) : time_(Epoch::Parse(day)->day()) {}
  std::chrono::system_clock::time_point Now() const override { return time_; }

 private:
  std::chrono::system_clock::time_point time_;
};

}  // namespace likeness
