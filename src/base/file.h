// Whole files: read, map, and replace atomically. All functions may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"

namespace likeness {

// The whole file. Errors: NotFound, OutOfRange when it is larger than `limit` bytes (found before reading),
// Unavailable.
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path, uint64_t limit = UINT64_MAX);

// Writes to a temporary name in the same folder, syncs, and renames over `path`: a reader, or a machine that loses
// power, sees the old file or the whole new one. Creates missing folders.
absl::Status WriteFileAtomic(const std::filesystem::path& path, std::span<const std::byte> bytes);

// The same with link(2) in place of rename(2): AlreadyExists when `path` exists, and then it is untouched.
absl::Status WriteFileIfAbsent(const std::filesystem::path& path, std::span<const std::byte> bytes);

// A file mapped for reading, for as long as the object lives. An empty file maps to an empty span.
class MappedFile {
 public:
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const std::byte* data, size_t size) : data_(data), size_(size) {}

  const std::byte* data_;
  size_t size_;
};

}  // namespace likeness
