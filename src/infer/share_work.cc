#include "infer/share_work.h"

#include <omp.h>

namespace likeness {

size_t WorkThreads() { return static_cast<size_t>(omp_get_max_threads()); }

void ShareWork(size_t threads, const std::function<void(size_t thread)>& work) {
  if (threads <= 1) return work(0);
#pragma omp parallel num_threads(static_cast <int>(threads))
  {
    // There may be fewer than were asked for.
    const auto given = static_cast<size_t>(omp_get_num_threads());
    for (auto i = static_cast<size_t>(omp_get_thread_num()); i < threads; i += given) work(i);
  }
}

}  // namespace likeness
