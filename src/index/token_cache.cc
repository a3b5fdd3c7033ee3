#include "index/token_cache.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

namespace likeness {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSlack = 8;  // readable behind a part

size_t RoundUp(size_t size) { return (size + kSlack + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

// Memory that is given only where it is touched.
struct TokenCache::Arena {
  std::byte* data = nullptr;
  size_t size = 0;

  explicit Arena(size_t wanted) {
    if (wanted == 0) return;
    void* const got =
        ::mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (got == MAP_FAILED) return;
    data = static_cast<std::byte*>(got);
    size = wanted;
  }
  ~Arena() {
    if (data != nullptr) ::munmap(data, size);
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
};

struct TokenCache::Stripe {
  struct Entry {
    uint64_t key = 0;
    size_t offset = 0, size = 0;
    bool known = false;  // places has it
    std::shared_ptr<const Buffer> buffer;
  };

  explicit Stripe(size_t size) : arena(std::make_shared<const Arena>(size)) {}

  std::shared_ptr<const Buffer> Allocate(uint64_t key, size_t size);
  bool DropFirst();

  const std::shared_ptr<const Arena> arena;
  std::mutex mutex;
  // Guarded by mutex, as is all below. In the order in which they lie in the ring behind `head`, where the next one
  // goes.
  std::deque<Entry> entries;
  std::unordered_map<uint64_t, std::shared_ptr<const Buffer>*> places;  // to buffers of entries
  size_t head = 0;
  uint64_t bytes = 0, hits = 0, misses = 0;
};

// Lets the first entry go, unless it is held: then it becomes the last one, and `head` goes behind it. Whether it went.
bool TokenCache::Stripe::DropFirst() {
  Entry first = std::move(entries.front());
  entries.pop_front();
  if (first.buffer.use_count() > 1) {
    head = first.offset + first.size;
    const uint64_t key = first.key;
    const bool known = first.known;
    entries.push_back(std::move(first));
    if (known) places[key] = &entries.back().buffer;
    return false;
  }
  // What its last holder has read comes before what is written now.
#if defined(__SANITIZE_THREAD__)
  std::shared_ptr<const Buffer>(first.buffer).reset();  // as a fence, which the sanitizer does not know
#else
  std::atomic_thread_fence(std::memory_order_acquire);
#endif
  if (first.known) {
    places.erase(first.key);
    bytes -= first.size;
  }
  return true;
}

// Room for a part that nobody finds yet; null when there is none beside what is held.
std::shared_ptr<const TokenCache::Buffer> TokenCache::Stripe::Allocate(uint64_t key, size_t size) {
  if (size > arena->size) return nullptr;
  for (int rounds = 0; rounds < 2;) {
    if (head + size > arena->size) {
      const size_t end = head;
      for (size_t left = entries.size(); left > 0 && entries.front().offset >= end; --left) DropFirst();
      head = 0;
      ++rounds;
    }
    bool clear = true;
    while (clear && !entries.empty() && entries.front().offset >= head && entries.front().offset < head + size) {
      clear = DropFirst();
    }
    if (!clear) continue;
    entries.push_back({.key = key, .offset = head, .size = size, .known = false, .buffer = nullptr});
    entries.back().buffer = std::make_shared<const Buffer>(Buffer{arena->data + head, arena});
    head += size;
    return entries.back().buffer;
  }
  return nullptr;
}

TokenCache::TokenCache(uint64_t bytes) : capacity_(bytes) {
  for (auto& stripe : stripes_) stripe = std::make_unique<Stripe>(bytes / kStripes / kAlignment * kAlignment);
}

TokenCache::~TokenCache() = default;

absl::StatusOr<TokenCache::Pinned> TokenCache::Get(uint32_t file, uint32_t part, size_t size,
                                                   const std::function<absl::Status(std::byte* to)>& load) {
  const uint64_t key = uint64_t{file} << 32 | part;
  Stripe& stripe = *stripes_[(key * 0x9E3779B97F4A7C15u) >> 60];
  Pinned buffer;
  {
    const std::lock_guard lock(stripe.mutex);
    const auto found = stripe.places.find(key);
    if (found != stripe.places.end()) {
      ++stripe.hits;
      return *found->second;
    }
    ++stripe.misses;
    buffer = stripe.Allocate(key, RoundUp(size));
  }
  const bool kept = buffer != nullptr;
  if (!kept) {
    const std::shared_ptr<void> own(std::aligned_alloc(kAlignment, RoundUp(size)), std::free);
    if (own == nullptr) return absl::ResourceExhaustedError("no memory for a list of postings");
    buffer = std::make_shared<const Buffer>(Buffer{static_cast<std::byte*>(own.get()), own});
  }
  LIKENESS_RETURN_IF_ERROR(load(buffer->data));
  std::memset(buffer->data + size, 0, kSlack);
  if (!kept) return buffer;
  const std::lock_guard lock(stripe.mutex);
  for (auto entry = stripe.entries.rbegin(); entry != stripe.entries.rend(); ++entry) {
    if (entry->buffer != buffer) continue;
    entry->known = stripe.places.try_emplace(key, &entry->buffer).second;  // false: another thread was quicker
    if (entry->known) stripe.bytes += entry->size;
    break;
  }
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
