#include "base/free_memory.h"

#include <algorithm>
#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace likeness {

void ReleaseFreeMemory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

void LimitHeaps(size_t most) {
#ifdef __GLIBC__
  ::mallopt(M_ARENA_MAX, static_cast<int>(std::clamp<size_t>(most, 1, 1024)));
#else
  (void)most;
#endif
}

}  // namespace likeness
