// The token index of one shard: for every visual word, the keypoints that have it, in a sealed file beside the segment.
//
// Format: docs/formats/tokens.md. A TokenWriter makes the file once. Documents are those of the segment, by the same
// DocIds. After Open it never changes; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/status.h"
#include "index/token_cache.h"
#include "types/doc_id.h"
#include "types/feature_key.h"
#include "types/local_feature.h"

namespace likeness {

struct TokenPartEntry;

// Some postings of one word, in the order of documents, in memory as long as this lives.
struct TokenPart {
  TokenCache::Pinned owner;
  std::span<const uint64_t> signatures;  // one for each posting, as is geometry
  std::span<const uint32_t> geometry;
  std::span<const uint32_t> bases;  // one for each block of 64 postings, as is widths: document of its first posting
  std::span<const uint8_t> widths;  // bits of a gap
  std::span<const std::byte> gaps;

  // The documents of the first `count` postings of a block, whose gaps begin at gaps[at]. Whatever the bytes are it
  // reads within them, but only what is below doc_count() is a document. REQUIRES: blocks before `block` take `at`
  // bytes; 1 <= count <= BlockPostings(block)
  void Documents(size_t block, size_t at, size_t count, uint32_t (&out)[64]) const;
  size_t BlockPostings(size_t block) const;
  size_t GapBytes(size_t block) const;
};

class TokenIndex {
 public:
  // Where the list of a word lies: parts [begin, end).
  struct List {
    uint32_t begin = 0;
    uint32_t end = 0;
    uint32_t documents = 0;  // that have the word
    uint64_t postings = 0;
    bool empty() const { return begin == end; }
  };

  // Reads header, tables and footer, not the postings; those come through `cache` when they are asked for. The file is
  // kept open. Errors: NotFound; DataLoss (cut off, damaged tables); Unimplemented (a later version).
  static absl::StatusOr<std::shared_ptr<const TokenIndex>> Open(const std::filesystem::path& path,
                                                                std::shared_ptr<TokenCache> cache);

  size_t doc_count() const { return norms_.size(); }
  uint64_t postings() const { return postings_; }
  uint64_t file_bytes() const { return file_bytes_; }
  uint64_t resident_bytes() const;                        // of the tables, beside what the cache holds
  const FeatureKey& feature() const { return feature_; }  // what the words are of
  size_t parts() const { return parts_; }
  size_t words() const { return words_; }  // that have a list

  // An empty list for a word that no document has, also for one beyond the vocabulary.
  List Find(uint32_t word) const;

  // REQUIRES: part < parts(). Errors: DataLoss, naming the word; Unavailable when reading fails.
  absl::StatusOr<TokenPart> Read(uint32_t part) const;

  // Tells the system that the list will be read soon: many are then fetched from the disk at once. A no-op for what it
  // has in memory, but for a system call.
  void Announce(const List& list) const;

  // Length of a document as a vector of words: the root of the sum of TokenWeight squared over its keypoints; 0 without
  // keypoints. REQUIRES: doc.value() < doc_count()
  float norm(DocId doc) const { return norms_[doc.value()]; }

  // Reads every part. Errors: those of Read; DataLoss when postings are not in order or of no document.
  absl::Status Verify() const;

 private:
  TokenIndex() = default;
  absl::Status ReadTables();

  std::string path_;
  Descriptor file_;
  std::shared_ptr<TokenCache> cache_;
  uint32_t id_ = 0;  // in cache_
  std::unique_ptr<std::byte[]> tables_;
  const TokenPartEntry* entries_ = nullptr;  // [parts_], by word
  size_t parts_ = 0;
  std::vector<uint32_t> begins_;  // first part of each word, where words are dense enough for that; else empty
  size_t words_ = 0;
  std::span<const float> norms_;  // [doc_count]
  FeatureKey feature_;
  uint64_t postings_ = 0;
  uint64_t file_bytes_ = 0;
};

// The keypoint of a posting, as exact as it is kept: places to half a pixel, scales to a quarter of a doubling, angles
// to 1/64 of a turn.
LocalFeature TokenFeature(uint32_t word, uint64_t signature, uint32_t geometry);

// One JSON object about a token file, for people, with whether each list's checksum holds. Errors: as Open.
absl::StatusOr<std::string> InspectTokens(const std::filesystem::path& path);

// Whether a file begins as a token file does.
bool IsTokenFile(std::span<const std::byte> head);

}  // namespace likeness
