#include "serve/batched_extractor.h"

#include <algorithm>
#include <bit>
#include <chrono>

namespace likeness {
namespace {

// A wait until the end of time overflows in some libraries; an hour is for ever here.
std::chrono::steady_clock::time_point Until(Deadline deadline) {
  return std::min(deadline.when(), std::chrono::steady_clock::now() + std::chrono::hours(1));
}

}  // namespace

BatchedExtractor::BatchedExtractor(std::shared_ptr<const DeepExtractor> extractor)
    : extractor_(std::move(extractor)),
      shape_{extractor_->tensor_size(), extractor_->dimension(), std::max<size_t>(1, extractor_->batch())},
      run_([this](std::span<const float> tensors, size_t count, std::span<float> vectors) {
        return extractor_->Extract(tensors, count, vectors);
      }) {}

absl::StatusOr<std::vector<float>> BatchedExtractor::Extract(std::span<const float> tensor, Deadline deadline) {
  LIKENESS_CHECK(tensor.size() == shape_.tensor);
  Query query{.tensor = tensor, .vector = {}, .status = {}};
  std::unique_lock lock(mutex_);
  waiting_.push_back(&query);
  while (!query.done) {
    if (!query.taken && deadline.Passed()) {
      std::erase(waiting_, &query);
      return absl::DeadlineExceededError("the time for this request is over");
    }
    if (!running_) {
      RunSome(lock);
    } else if (query.taken) {
      ran_.wait(lock);
    } else {
      ran_.wait_until(lock, Until(deadline));
    }
  }
  LIKENESS_RETURN_IF_ERROR(query.status);
  return std::move(query.vector);
}

void BatchedExtractor::RunSome(std::unique_lock<std::mutex>& lock) {
  // A power of two is one step of the network: three would be two steps, and the third need not wait for the others.
  const size_t count = std::bit_floor(std::min(waiting_.size(), shape_.batch));
  const std::vector<Query*> queries(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  for (Query* query : queries) query->taken = true;
  running_ = true;
  lock.unlock();

  const auto run = [&](std::span<Query* const> some) {
    std::vector<float> tensors, vectors(some.size() * shape_.dimension);
    for (const Query* query : some) tensors.insert(tensors.end(), query->tensor.begin(), query->tensor.end());
    const absl::Status status = run_(tensors, some.size(), vectors);
    for (size_t i = 0; i < some.size(); ++i) {
      const auto vector = std::span(vectors).subspan(i * shape_.dimension, shape_.dimension);
      some[i]->vector.assign(vector.begin(), vector.end());
      some[i]->status = status;
    }
    return status.ok();
  };
  if (!run(queries) && count > 1) {
    for (size_t i = 0; i < count; ++i) run(std::span(queries).subspan(i, 1));
  }

  lock.lock();
  running_ = false;
  for (Query* query : queries) query->done = true;
  ran_.notify_all();
}

absl::Status BatchedExtractor::Warm() const {
  for (size_t count = 1; count <= shape_.batch; count *= 2) {
    const std::vector<float> tensors(count * shape_.tensor);
    std::vector<float> vectors(count * shape_.dimension);
    LIKENESS_RETURN_IF_ERROR(run_(tensors, count, vectors));
  }
  return absl::OkStatus();
}

}  // namespace likeness
