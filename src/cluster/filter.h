// Sets of documents on their way to leaves: as short as they can be said, and said once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/status.h"
#include "index/doc_set.h"

namespace likeness {

// Whichever is shortest of the members, what is missing, and the words as they are (docs/cluster.md, "Filters").
std::string EncodeDocSet(const DocSet& set);
// Errors: InvalidArgument unless EncodeDocSet could have given `bytes` for a set of that size.
absl::StatusOr<DocSet> DecodeDocSet(std::string_view bytes, size_t size);

// The same for equal sets alone, as far as 64 bits tell.
uint64_t DigestOf(const DocSet& set);

// Sets by digest, those used last within a bound. Any thread.
class FilterCache {
 public:
  explicit FilterCache(uint64_t bytes) : bytes_(bytes) {}

  // May be null: it is not here.
  std::shared_ptr<const DocSet> Find(uint64_t digest);
  void Keep(uint64_t digest, std::shared_ptr<const DocSet> set);

 private:
  struct Entry {
    uint64_t digest;
    std::shared_ptr<const DocSet> set;
  };

  const uint64_t bytes_;
  std::mutex mutex_;
  std::list<Entry> entries_;                               // guarded by mutex_; used last first
  std::map<uint64_t, std::list<Entry>::iterator> places_;  // guarded by mutex_
  uint64_t used_ = 0;                                      // guarded by mutex_
};

}  // namespace likeness
