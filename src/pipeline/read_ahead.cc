#include "pipeline/read_ahead.h"

#include <algorithm>
#include <utility>

#include "pipeline/work_chunk.h"

namespace likeness {
namespace {

constexpr size_t kThreads = 8;  // requests to a store at once

}  // namespace

ReadAhead::ReadAhead(const Home& home, std::span<const ImageRecord> images, std::span<const size_t> order,
                     size_t window)
    : home_(home), images_(images), order_(order), window_(window), fetched_(order.size()) {
  const auto is_file = [&](size_t position) { return images_[position].location.starts_with("file:"); };
  if (std::ranges::all_of(order_, is_file)) return;
  for (size_t i = 0; i < std::min({kThreads, window_, order_.size()}); ++i) {
    threads_.emplace_back([this] { Work(); });
  }
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  room_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

absl::StatusOr<std::string> ReadAhead::Take(size_t i) {
  if (threads_.empty()) return Fetch(i);
  std::unique_lock lock(mutex_);
  there_.wait(lock, [&] { return fetched_[i].has_value(); });
  absl::StatusOr<std::string> bytes = *std::move(fetched_[i]);
  fetched_[i].emplace(std::string());
  ++taken_;
  lock.unlock();
  room_.notify_one();
  return bytes;
}

absl::StatusOr<std::string> ReadAhead::Fetch(size_t i) const {
  const ImageRecord& image = images_[order_[i]];
  if (!image.reason.empty() && !ConcernsOneFeature(image.reason)) return absl::DataLossError(image.reason);
  return home_.ReadImage(image);
}

void ReadAhead::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    room_.wait(lock, [this] { return closing_ || next_ >= order_.size() || next_ < taken_ + window_; });
    if (closing_ || next_ >= order_.size()) return;
    const size_t i = next_++;
    lock.unlock();
    absl::StatusOr<std::string> bytes = Fetch(i);
    lock.lock();
    fetched_[i].emplace(std::move(bytes));
    there_.notify_all();
  }
}

}  // namespace likeness
