// Times of single queries, for reports that must hold on a busy machine.
#pragma once

#include <time.h>

#include <algorithm>
#include <vector>

namespace likeness {

// Processor time of the calling thread, in milliseconds.
inline double ThreadMilliseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

// The nearest rank. REQUIRES: !values.empty(), 0 <= percent <= 100
inline double Percentile(std::vector<double> values, double percent) {
  std::ranges::sort(values);
  const double rank = percent / 100 * static_cast<double>(values.size() - 1);
  return values[static_cast<size_t>(rank + 0.5)];
}

}  // namespace likeness
