// Pictures' bytes, fetched before they are needed: from servers each of them takes its time, and while one is waited
// for, others can be computed.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "pipeline/home.h"

namespace likeness {

// The pictures `order` of `images`, each of which is taken once, roughly in that order. Any thread.
class ReadAhead {
 public:
  // `window`: pictures in memory at most; those that are taken at once, by all threads, must be fewer.
  ReadAhead(const Home& home, std::span<const ImageRecord> images, std::span<const size_t> order, size_t window);
  // Drops what was not taken, after what is being fetched has come.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The bytes of images[order[i]]. Errors: Home::ReadImage's; the reason of a picture in quarantine, as DataLoss,
  // unless it concerns one feature alone.
  absl::StatusOr<std::string> Take(size_t i);

 private:
  absl::StatusOr<std::string> Fetch(size_t i) const;
  void Work();

  const Home& home_;
  const std::span<const ImageRecord> images_;
  const std::span<const size_t> order_;
  const size_t window_;
  std::mutex mutex_;
  std::condition_variable there_, room_;  // a picture was fetched; one was taken, or all ends
  std::vector<std::optional<absl::StatusOr<std::string>>> fetched_;  // guarded by mutex_
  size_t next_ = 0;                                                  // to be fetched; guarded by mutex_
  size_t taken_ = 0;                                                 // how many; guarded by mutex_
  bool closing_ = false;                                             // guarded by mutex_
  std::vector<std::thread> threads_;                                 // none where all pictures are files
};

}  // namespace likeness
