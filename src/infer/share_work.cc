#include "infer/share_work.h"

// Of OpenMP's runtime, which comes without a header for every compiler.
extern "C" int omp_get_max_threads(void);
extern "C" int omp_get_num_threads(void);
extern "C" int omp_get_thread_num(void);

namespace likeness {

size_t WorkThreads() { return static_cast<size_t>(omp_get_max_threads()); }

void ShareWork(size_t threads, const std::function<void(size_t thread)>& work) {
#if defined(_OPENMP) && !defined(__SANITIZE_THREAD__)  // which does not see how OpenMP's threads wait for each other
  if (threads > 1) {
#pragma omp parallel num_threads(static_cast <int>(threads))
    {
      // There may be fewer than were asked for.
      const auto given = static_cast<size_t>(omp_get_num_threads());
      for (auto i = static_cast<size_t>(omp_get_thread_num()); i < threads; i += given) work(i);
    }
    return;
  }
#endif
  for (size_t i = 0; i < threads; ++i) work(i);
}

}  // namespace likeness
