#include "base/clock.h"

namespace likeness {

const Clock& Clock::System() {
  class SystemClock final : public Clock {
   public:
    std::chrono::system_clock::time_point Now() const override { return std::chrono::system_clock::now(); }
  };
  static const SystemClock clock;
  return clock;
}

}  // namespace likeness
