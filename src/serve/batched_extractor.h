// One network for many queries: those that come while it runs wait for it, and then run together.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "feature/deep.h"

namespace likeness {

// A network reads its weights once for a whole batch, so that pictures in a batch cost less than one by one, and two
// runs at once would only get into each other's way. A query that finds the network idle runs at once: nobody waits for
// company. Any thread.
class BatchedExtractor {
 public:
  // As DeepExtractor::Extract.
  using Run = std::function<absl::Status(std::span<const float> tensors, size_t count, std::span<float> vectors)>;
  struct Shape {
    size_t tensor = 0;     // floats of a picture
    size_t dimension = 0;  // of its vector
    size_t batch = 1;      // pictures in a run at most
  };

  explicit BatchedExtractor(std::shared_ptr<const DeepExtractor> extractor);
  BatchedExtractor(const Shape& shape, Run run) : shape_(shape), run_(std::move(run)) {}
  BatchedExtractor(const BatchedExtractor&) = delete;
  BatchedExtractor& operator=(const BatchedExtractor&) = delete;

  // REQUIRES: made of an extractor
  const DeepExtractor& extractor() const { return *extractor_; }

  // The vector of one picture. What goes wrong with one does not harm those that ran with it. Errors: those of Run;
  // DeadlineExceeded when the deadline passed before its run began.
  absl::StatusOr<std::vector<float>> Extract(std::span<const float> tensor, Deadline deadline);

  // Makes the network ready for every number of pictures, so that no query waits for that. Errors: those of Run.
  absl::Status Warm() const;

 private:
  struct Query {
    std::span<const float> tensor;
    std::vector<float> vector;
    absl::Status status;
    bool taken = false, done = false;
  };

  // Runs the first ones of those that wait. The lock is let go meanwhile.
  void RunSome(std::unique_lock<std::mutex>& lock);

  std::shared_ptr<const DeepExtractor> extractor_;
  const Shape shape_;
  const Run run_;
  std::mutex mutex_;
  std::condition_variable ran_;
  bool running_ = false;         // guarded by mutex_
  std::vector<Query*> waiting_;  // guarded by mutex_; in the order of their coming
};

}  // namespace likeness
