// Memory that was freed, and that the allocator keeps.
#pragma once

namespace likeness {

// Gives the system back what the allocator holds of freed memory, on all threads' heaps. For the end of a long piece of
// work whose next piece will ask for other sizes: else a process that works for days keeps the holes of all of them.
// Takes a few milliseconds. Any thread.
void ReleaseFreeMemory();

}  // namespace likeness
