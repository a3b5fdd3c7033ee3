#include "infer/page_bytes.h"

#include <sys/mman.h>

#include <algorithm>

namespace likeness {
namespace {

constexpr size_t kLine = 64;
constexpr size_t kHuge = size_t{2} << 20;

}  // namespace

void FreeBytes::operator()(std::byte* bytes) const { ::operator delete(bytes, grain); }

Bytes NewBytes(size_t bytes) {
  const size_t grain = bytes >= kHuge / 4 ? kHuge : kLine;
  bytes = (std::max<size_t>(bytes, 1) + grain - 1) / grain * grain;
  const std::align_val_t align{grain};
  auto* const made = static_cast<std::byte*>(::operator new(bytes, align));
  if (grain == kHuge) ::madvise(made, bytes, MADV_HUGEPAGE);
  return Bytes(made, FreeBytes{align});
}

}  // namespace likeness
