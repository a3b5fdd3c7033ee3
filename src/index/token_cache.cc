#include "index/token_cache.h"

#include <malloc.h>

#include <cstdlib>
#include <cstring>
#include <utility>

namespace likeness {

TokenCache::Buffer::Buffer(size_t size)
    : data(static_cast<std::byte*>(std::aligned_alloc(64, (size + 8 + 63) / 64 * 64))) {
  if (data == nullptr) return;
  allocated = ::malloc_usable_size(data) + sizeof(Buffer);
  std::memset(data + size, 0, 8);
}

TokenCache::Buffer::~Buffer() { std::free(data); }

struct TokenCache::Stripe {
  struct Entry {
    uint64_t key;
    Pinned buffer;
  };
  std::mutex mutex;
  std::list<Entry> entries;  // guarded by mutex, as is all below; the one used last in front
  std::unordered_map<uint64_t, std::list<Entry>::iterator> places;
  uint64_t bytes = 0;
  uint64_t hits = 0;
  uint64_t misses = 0;
};

TokenCache::TokenCache(uint64_t bytes) : capacity_(bytes) {
  for (auto& stripe : stripes_) stripe = std::make_unique<Stripe>();
}

TokenCache::~TokenCache() = default;

absl::StatusOr<TokenCache::Pinned> TokenCache::Get(uint32_t file, uint32_t part, size_t size,
                                                   const std::function<absl::Status(std::byte* to)>& load) {
  const uint64_t key = uint64_t{file} << 32 | part;
  Stripe& stripe = *stripes_[(key * 0x9E3779B97F4A7C15u) >> 60];
  {
    const std::lock_guard lock(stripe.mutex);
    const auto found = stripe.places.find(key);
    if (found != stripe.places.end()) {
      ++stripe.hits;
      stripe.entries.splice(stripe.entries.begin(), stripe.entries, found->second);
      return found->second->buffer;
    }
    ++stripe.misses;
  }
  const auto buffer = std::make_shared<Buffer>(size);
  if (buffer->data == nullptr) return absl::ResourceExhaustedError("no memory for a list of postings");
  LIKENESS_RETURN_IF_ERROR(load(buffer->data));
  const uint64_t room = capacity_ / kStripes;
  if (buffer->allocated > room) return buffer;
  std::list<Stripe::Entry> gone;  // freed after the lock is
  const std::lock_guard lock(stripe.mutex);
  const auto [place, added] = stripe.places.try_emplace(key);
  if (!added) return buffer;  // another thread was quicker
  while (stripe.bytes + buffer->allocated > room) {
    const auto last = std::prev(stripe.entries.end());
    stripe.bytes -= last->buffer->allocated;
    stripe.places.erase(last->key);
    gone.splice(gone.begin(), stripe.entries, last);
  }
  stripe.entries.push_front({key, buffer});
  place->second = stripe.entries.begin();
  stripe.bytes += buffer->allocated;
  return buffer;
}

TokenCache::Stats TokenCache::stats() const {
  Stats sum;
  for (const auto& stripe : stripes_) {
    const std::lock_guard lock(stripe->mutex);
    sum.hits += stripe->hits;
    sum.misses += stripe->misses;
    sum.bytes += stripe->bytes;
  }
  return sum;
}

}  // namespace likeness
