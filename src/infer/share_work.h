// Loops of our own on the threads that oneDNN uses: two sets of threads would stand in each other's way.
#pragma once

#include <cstddef>
#include <functional>

namespace likeness {

// How many threads share the calling thread's loops.
size_t WorkThreads();

// work(0) .. work(threads - 1), at once, the first on the calling thread. Returns when all are done.
void ShareWork(size_t threads, const std::function<void(size_t thread)>& work);

// The part of 0 .. `count` - 1 that is one thread's, in whole multiples of `unit`.
struct Share {
  size_t first, last;
};
inline Share ShareOf(size_t count, size_t unit, size_t thread, size_t threads) {
  const size_t units = (count + unit - 1) / unit;
  const size_t first = units * thread / threads * unit, last = units * (thread + 1) / threads * unit;
  return {first < count ? first : count, last < count ? last : count};
}

}  // namespace likeness
