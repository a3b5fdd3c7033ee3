// How a long run tells where it is, and how it is asked to stop.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>

namespace likeness {

// Called from one thread at a time, often: (stage, done, total); total is 0 while it is not known.
using ProgressFunction = std::function<void(std::string_view stage, uint64_t done, uint64_t total)>;

// What every job of a run is given. Members may be left as they are: no progress, never stopped.
struct RunControl {
  ProgressFunction progress = [](std::string_view, uint64_t, uint64_t) {};
  const std::atomic<bool>* stop = nullptr;  // may be null; set (by a signal, say) to stop soon with everything kept

  bool stopped() const { return stop != nullptr && stop->load(std::memory_order_relaxed); }
};

}  // namespace likeness
