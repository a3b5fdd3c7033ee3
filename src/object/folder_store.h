// An object store in a folder: keys are paths below it.
#pragma once

#include <filesystem>
#include <memory>

#include "object/object_store.h"

namespace likeness {

// A put writes under ROOT/.incoming, syncs, and renames or links into place, so killed writers leave nothing but files
// there, which Open sweeps when their writer is gone. Conditions are decided under a lock on ROOT/.lock, so several
// processes may share the folder (on a file system where flock works between them). The etag is the MD5 of the content
// up to 1 MiB, and beyond that made of file number, time and size.
class FolderStore final : public ObjectStore {
 public:
  // Creates the folder when missing. Errors: FailedPrecondition (not a folder, no permission), ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<FolderStore>> Open(const std::filesystem::path& root);

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

  const std::filesystem::path& root() const { return root_; }

 private:
  explicit FolderStore(std::filesystem::path root) : root_(std::move(root)) {}

  absl::StatusOr<std::filesystem::path> PathOf(std::string_view key) const;
  absl::Status Commit(std::string_view key, const std::filesystem::path& from, const PutOptions& options);
  void Sweep() const;

  const std::filesystem::path root_;
};

}  // namespace likeness
