// Parts of token files in memory, as many as fit a set size, the one that came longest ago going first.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/status.h"

namespace likeness {

// One cache serves any number of token files. Its memory is taken once, filled around and around, and never grows; a
// part that somebody holds is passed over. Beside it each search has at the moment one part of its own where nothing
// fits. The operating system keeps pages of the files in memory that nothing else needs, and gives them up by itself:
// they are not of the process. Any thread.
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
  struct Arena;
  struct Stripe;

  const uint64_t capacity_;
  std::atomic<uint32_t> next_file_ = 0;
  std::array<std::unique_ptr<Stripe>, kStripes> stripes_;
};

// Bytes of one part, aligned to 64, with 8 readable bytes behind them.
struct TokenCache::Buffer {
  std::byte* data = nullptr;
  std::shared_ptr<const void> owner;
};

}  // namespace likeness
