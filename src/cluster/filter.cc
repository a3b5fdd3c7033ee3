#include "cluster/filter.h"

#include <bit>
#include <cstring>
#include <span>

#include "base/bytes.h"

namespace likeness {
namespace {

constexpr char kMembers = 'm';  // varints: each member less the one before and 1
constexpr char kMissing = 'x';  // the same of what is not in it
constexpr char kWords = 'w';    // words of 64 bits, little-endian

// Calls `each` with the members of the set, or with those of its complement, ascending.
template <typename Each>
void ForEach(const DocSet& set, bool members, const Each& each) {
  const auto words = set.words();
  for (size_t i = 0; i < words.size(); ++i) {
    uint64_t word = members ? words[i] : ~words[i];
    for (; word != 0; word &= word - 1) {
      const size_t doc = 64 * i + static_cast<size_t>(std::countr_zero(word));
      if (doc < set.size()) each(doc);
    }
  }
}

void AppendVarint(std::string& text, uint64_t value) {
  for (; value >= 128; value >>= 7) text += static_cast<char>(value | 128);
  text += static_cast<char>(value);
}

uint64_t BytesOf(const DocSet& set) { return 8 * set.words().size() + 128; }

absl::Status Malformed() { return absl::InvalidArgumentError("a filter cannot be read: root and leaf differ"); }

}  // namespace

std::string EncodeDocSet(const DocSet& set) {
  const size_t count = set.Count();
  const bool members = count <= set.size() / 2;
  const size_t listed = members ? count : set.size() - count;
  const size_t bytes = 8 * set.words().size();
  std::string text;
  if (listed < bytes) {
    text = members ? kMembers : kMissing;
    size_t next = 0;
    ForEach(set, members, [&](size_t doc) {
      AppendVarint(text, doc - next);
      next = doc + 1;
    });
    if (text.size() <= bytes) return text;
  }
  text.assign(1, kWords);
  text.resize(1 + bytes);
  if (bytes > 0) std::memcpy(text.data() + 1, set.words().data(), bytes);
  return text;
}

absl::StatusOr<DocSet> DecodeDocSet(std::string_view bytes, size_t size) {
  if (bytes.empty()) return Malformed();
  DocSet set(size);
  const char kind = bytes.front();
  bytes.remove_prefix(1);
  if (kind == kWords) {
    if (bytes.size() != 8 * set.words().size()) return Malformed();
    for (size_t i = 0; i < set.words().size(); ++i) {
      uint64_t word = 0;
      std::memcpy(&word, bytes.data() + 8 * i, 8);
      for (; word != 0; word &= word - 1) {
        const size_t doc = 64 * i + static_cast<size_t>(std::countr_zero(word));
        if (doc >= size) return Malformed();
        set.Set(DocId(static_cast<uint32_t>(doc)));
      }
    }
    return set;
  }
  if (kind != kMembers && kind != kMissing) return Malformed();
  uint64_t next = 0;
  while (!bytes.empty()) {
    uint64_t gap = 0;
    int shift = 0;
    for (;; shift += 7) {
      if (bytes.empty() || shift > 28) return Malformed();
      const auto byte = static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      gap |= uint64_t{byte & 127u} << shift;
      if (byte < 128) break;
    }
    next += gap;
    if (next >= size) return Malformed();
    set.Set(DocId(static_cast<uint32_t>(next++)));
  }
  if (kind == kMissing) set.Invert();
  return set;
}

uint64_t DigestOf(const DocSet& set) {
  return Checksum(std::as_bytes(set.words())) ^ (set.size() * 0x9E3779B97F4A7C15u);
}

std::shared_ptr<const DocSet> FilterCache::Find(uint64_t digest) {
  const std::lock_guard lock(mutex_);
  const auto place = places_.find(digest);
  if (place == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, place->second);
  return place->second->set;
}

void FilterCache::Keep(uint64_t digest, std::shared_ptr<const DocSet> set) {
  const std::lock_guard lock(mutex_);
  if (places_.contains(digest)) return;
  used_ += BytesOf(*set);
  entries_.push_front({digest, std::move(set)});
  places_[digest] = entries_.begin();
  while (used_ > bytes_ && entries_.size() > 1) {
    used_ -= BytesOf(*entries_.back().set);
    places_.erase(entries_.back().digest);
    entries_.pop_back();
  }
}

}  // namespace likeness
