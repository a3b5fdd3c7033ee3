// A fixed set of threads for work that has an end.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace likeness {

// Runs submitted tasks in order of arrival. The destructor finishes what was submitted. Submit and Wait may be called
// from any thread that is not one of the pool's own.
class ThreadPool {
 public:
  // REQUIRES: threads > 0
  explicit ThreadPool(size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Submit(std::function<void()> task);
  // Returns when every task submitted so far has ended.
  void Wait();
  size_t size() const { return threads_.size(); }

 private:
  void Work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  size_t running_ = 0;                       // guarded by mutex_
  bool closing_ = false;                     // guarded by mutex_
  std::vector<std::thread> threads_;
};

// Calls body(i) for every i in [0, count), at most `threads` at once, and returns when all have ended.
void ParallelFor(size_t count, size_t threads, const std::function<void(size_t)>& body);

// Hardware threads that this process may use, at least 1.
size_t AvailableThreads();

}  // namespace likeness
