// What every training is given: pictures, a way to tell where it is, and a way to be stopped.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace likeness {

struct TrainingPictures {
  size_t count = 0;
  // The bytes of picture `i`. May be called from several threads at once. A picture that cannot be read, or not be
  // decoded, is passed over.
  std::function<absl::StatusOr<std::string>(size_t i)> read;
  // Tells one list from another: what was begun with one list is not finished with another one.
  std::string digest;
};

struct TrainingControl {
  // Called from one thread: (stage, done, total).
  std::function<void(std::string_view, uint64_t, uint64_t)> progress = [](std::string_view, uint64_t, uint64_t) {};
  const std::atomic<bool>* stop = nullptr;  // may be null; set to stop soon with everything kept

  bool stopped() const { return stop != nullptr && stop->load(std::memory_order_relaxed); }
};

// The status of a training that was stopped before its end.
inline absl::Status TrainingStopped() {
  return absl::CancelledError("stopped; everything so far is kept, and the same command goes on from there");
}

}  // namespace likeness
