// Memory that large matrices and activations lie in.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace likeness {

struct FreeBytes {
  std::align_val_t grain{1};
  void operator()(std::byte* bytes) const;
};
using Bytes = std::unique_ptr<std::byte, FreeBytes>;

// Uninitialized, aligned to 64. On large pages where there is much of it: loops that stream over it miss the TLB less.
// (A convolution whose weights lay on small pages took 1.7 times as long in a virtual machine.)
Bytes NewBytes(size_t bytes);

}  // namespace likeness
