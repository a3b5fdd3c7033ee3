// An object store in memory, for tests and for what need not last.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <string>

#include "object/object_store.h"

namespace likeness {

class MemoryStore final : public ObjectStore {
 public:
  MemoryStore() = default;
  ~MemoryStore() override;  // Removes the files that LocalFile made.

  absl::Status Put(std::string_view key, std::span<const std::byte> bytes, const PutOptions& options = {}) override;
  absl::Status PutFile(std::string_view key, const std::filesystem::path& path,
                       const PutOptions& options = {}) override;
  absl::StatusOr<Blob> Get(std::string_view key) override;
  absl::StatusOr<std::string> GetRange(std::string_view key, uint64_t offset, uint64_t size) override;
  absl::StatusOr<std::optional<ObjectInfo>> Head(std::string_view key) override;
  absl::StatusOr<std::vector<ObjectInfo>> List(std::string_view prefix, std::string_view start_after,
                                               size_t limit) override;
  absl::Status Delete(std::string_view key) override;
  absl::StatusOr<std::filesystem::path> LocalFile(std::string_view key) override;

 private:
  std::mutex mutex_;
  std::map<std::string, Blob, std::less<>> objects_;  // guarded by mutex_
  std::filesystem::path local_;                       // guarded by mutex_; empty until LocalFile needs it
};

}  // namespace likeness
