// Time: a clock that tests can replace, and deadlines.
#pragma once

#include <chrono>

namespace likeness {

// The wall clock (UTC). Tests pass their own; the real one is Clock::System(). Any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::chrono::system_clock::time_point Now() const = 0;
  static const Clock& System();
};

// A point on the monotonic clock after which work is no longer wanted.
class Deadline {
 public:
  static Deadline Never() { return Deadline(std::chrono::steady_clock::time_point::max()); }
  static Deadline After(std::chrono::nanoseconds duration) {
    return Deadline(std::chrono::steady_clock::now() + duration);
  }
  bool Passed() const {
    return when_ != std::chrono::steady_clock::time_point::max() && std::chrono::steady_clock::now() >= when_;
  }
  std::chrono::steady_clock::time_point when() const { return when_; }

 private:
  explicit Deadline(std::chrono::steady_clock::time_point when) : when_(when) {}
  std::chrono::steady_clock::time_point when_;
};

// Milliseconds since construction or the last Restart.
class Stopwatch {
 public:
  double Milliseconds() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  }
  void Restart() { start_ = std::chrono::steady_clock::now(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace likeness
