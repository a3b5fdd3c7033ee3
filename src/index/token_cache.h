// Parts of token files in memory, as many as fit a set size, the one used longest ago going first.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/status.h"

namespace likeness {

// One cache serves any number of token files. Counted is what the allocator gives for a part, so that the memory of the
// process grows by the bound and no more, but for the part that each search holds at the moment. The operating system
// keeps pages of the files beside it in memory that nothing else needs, and gives them up by itself: they are not of
// the process. Any thread.
class TokenCache {
 public:
  struct Buffer;
  using Pinned = std::shared_ptr<const Buffer>;

  struct Stats {
    uint64_t hits = 0;
    uint64_t misses = 0;
    uint64_t bytes = 0;  // held now
  };

  // 0 keeps nothing.
  explicit TokenCache(uint64_t bytes);
  ~TokenCache();
  TokenCache(const TokenCache&) = delete;
  TokenCache& operator=(const TokenCache&) = delete;

  // A number for a file, never given twice.
  uint32_t NewFile() { return next_file_++; }

  // The part, from memory or through `load`, which fills `size` bytes. A load that fails keeps nothing.
  absl::StatusOr<Pinned> Get(uint32_t file, uint32_t part, size_t size,
                             const std::function<absl::Status(std::byte* to)>& load);

  uint64_t capacity() const { return capacity_; }
  Stats stats() const;

 private:
  static constexpr size_t kStripes = 16;  // each with a lock of its own
  struct Stripe;

  const uint64_t capacity_;
  std::atomic<uint32_t> next_file_ = 0;
  std::array<std::unique_ptr<Stripe>, kStripes> stripes_;
};

// Bytes of one part, aligned to 64, with 8 readable bytes behind them.
struct TokenCache::Buffer {
  std::byte* data = nullptr;
  size_t allocated = 0;

  explicit Buffer(size_t size);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
};

}  // namespace likeness
