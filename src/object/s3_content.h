// The content of S3 objects on its way: digests of what is put, checks of what is read.
//
// What a store of ours puts carries the XXH3 (64 bits, 16 hexadecimal digits) of its content in the header
// x-amz-meta-likeness-xxh3, and each read of the whole is held to it. What others put is held to its etag where that is
// the MD5 of the content (one put, no encryption with keys of one's own), and otherwise to its size alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "object/file_cache.h"
#include "object/s3_client.h"

namespace likeness {

inline constexpr char kXxh3Header[] = "x-amz-meta-likeness-xxh3";
inline constexpr char kPutHeader[] = "x-amz-meta-likeness-put";  // a random number of one put: was it ours?

struct S3Digests {
  std::string xxh3;                 // of the whole, 16 hexadecimal digits
  std::vector<std::string> sha256;  // of each part, in order; at least one
};

// Reads `body` once. Errors: Unavailable. REQUIRES: part_bytes > 0
absl::StatusOr<S3Digests> DigestBody(const S3Body& body, uint64_t part_bytes);

std::optional<uint64_t> ParseSize(std::string_view digits);

// An etag as we show it, without quotes.
std::string PlainEtag(std::string_view etag);

// The whole of an object: in memory, or, when it is larger than `most_in_memory`, in a file of the cache.
class WholeSink final : public S3Sink {
 public:
  // `cache` is borrowed.
  WholeSink(FileCache& cache, uint64_t most_in_memory);
  ~WholeSink() override;

  absl::Status Begin(const S3Reply& reply) override;
  absl::Status Write(std::span<const std::byte> piece) override;
  absl::Status End(const S3Reply& reply) override;

  // After a good End, one of them.
  std::string TakeText() { return std::move(text_); }
  std::optional<FileCache::Staged> TakeFile() { return std::move(file_); }

 private:
  struct Hashes;
  FileCache& cache_;
  const uint64_t most_in_memory_;
  std::unique_ptr<Hashes> hashes_;
  std::string text_;
  std::optional<FileCache::Staged> file_;
  std::optional<uint64_t> announced_;  // bytes
  uint64_t seen_ = 0;
};

// Exactly `size` bytes from `offset`.
class RangeSink final : public S3Sink {
 public:
  RangeSink(uint64_t offset, uint64_t size) : offset_(offset), size_(size) {}

  absl::Status Begin(const S3Reply& reply) override;
  absl::Status Write(std::span<const std::byte> piece) override;
  absl::Status End(const S3Reply& reply) override;
  std::string TakeText() { return std::move(text_); }

 private:
  const uint64_t offset_, size_;
  std::string text_;
};

}  // namespace likeness
