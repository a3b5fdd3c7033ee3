// Memory that was freed, and that the allocator keeps.
#pragma once

#include <cstddef>

namespace likeness {

// Gives the system back what the allocator holds of freed memory, on all threads' heaps. For the end of a long piece of
// work whose next piece will ask for other sizes: else a process that works for days keeps the holes of all of them.
// Takes a few milliseconds. Any thread.
void ReleaseFreeMemory();

// For the start of a process whose threads come and go, as a worker's do: at most so many heaps for all of them. Else
// there may be eight for each processor, a new thread takes any, and each keeps what its busiest thread needed. Heaps
// that are there already stay. Any thread; does nothing where the C library is not glibc.
void LimitHeaps(size_t most);

}  // namespace likeness
