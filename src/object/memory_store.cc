#include "object/memory_store.h"

#include <stdlib.h>

#include <array>

#include "base/bytes.h"
#include "base/file.h"

namespace likeness {
namespace {

std::string Etag(const Blob& blob) {
  std::array<std::byte, 16> digest;
  Md5(blob.bytes(), digest);
  return HexEncode(digest);
}

absl::Status NoObject(std::string_view key) {
  return absl::NotFoundError("there is no object '" + std::string(key) + "'");
}

}  // namespace

MemoryStore::~MemoryStore() {
  std::error_code unused;
  if (!local_.empty()) std::filesystem::remove_all(local_, unused);
}

absl::Status MemoryStore::Put(std::string_view key, std::span<const std::byte> bytes, const PutOptions& options) {
  LIKENESS_RETURN_IF_ERROR(CheckPut(key, options));
  Blob blob = Blob::Of(std::string(AsText(bytes)));
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (options.if_absent && found != objects_.end()) {
    return absl::AlreadyExistsError("the object '" + std::string(key) + "' exists already");
  }
  if (options.if_match && (found == objects_.end() || Etag(found->second) != *options.if_match)) {
    return absl::FailedPreconditionError("the object '" + std::string(key) +
                                         (found == objects_.end() ? "' is gone" : "' was changed by another"));
  }
  const std::string below = std::string(key) + "/";
  if (const auto next = objects_.lower_bound(below); next != objects_.end() && next->first.starts_with(below)) {
    return absl::FailedPreconditionError("the key '" + std::string(key) + "' ends where other objects' go on");
  }
  for (size_t slash = key.find('/'); slash != std::string_view::npos; slash = key.find('/', slash + 1)) {
    if (objects_.contains(key.substr(0, slash))) {
      return absl::FailedPreconditionError("the key '" + std::string(key) + "' goes on where another object's ends");
    }
  }
  objects_.insert_or_assign(std::string(key), std::move(blob));
  return absl::OkStatus();
}

absl::Status MemoryStore::PutFile(std::string_view key, const std::filesystem::path& path, const PutOptions& options) {
  LIKENESS_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  LIKENESS_RETURN_IF_ERROR(Put(key, file->bytes(), options));
  std::error_code unused;
  if (options.take_file) std::filesystem::remove(path, unused);
  return absl::OkStatus();
}

absl::StatusOr<Blob> MemoryStore::Get(std::string_view key) {
  LIKENESS_RETURN_IF_ERROR(CheckObjectKey(key));
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return NoObject(key);
  return found->second;
}

absl::StatusOr<std::string> MemoryStore::GetRange(std::string_view key, uint64_t offset, uint64_t size) {
  LIKENESS_ASSIGN_OR_RETURN(const Blob blob, Get(key));
  if (offset > blob.size() || size > blob.size() - offset) {
    return absl::OutOfRangeError("the object '" + std::string(key) + "' has only " + std::to_string(blob.size()) +
                                 " bytes");
  }
  return std::string(AsText(blob.bytes().subspan(offset, size)));
}

absl::StatusOr<std::optional<ObjectInfo>> MemoryStore::Head(std::string_view key) {
  const absl::StatusOr<Blob> blob = Get(key);
  if (absl::IsNotFound(blob.status())) return std::nullopt;
  if (!blob.ok()) return blob.status();
  return ObjectInfo{std::string(key), blob->size(), Etag(*blob)};
}

absl::StatusOr<std::vector<ObjectInfo>> MemoryStore::List(std::string_view prefix, std::string_view start_after,
                                                          size_t limit) {
  std::vector<ObjectInfo> objects;
  const std::lock_guard lock(mutex_);
  auto next = start_after < prefix ? objects_.lower_bound(prefix) : objects_.upper_bound(start_after);
  for (; next != objects_.end() && objects.size() < limit && next->first.starts_with(prefix); ++next) {
    objects.push_back({next->first, next->second.size(), Etag(next->second)});
  }
  return objects;
}

absl::Status MemoryStore::Delete(std::string_view key) {
  LIKENESS_RETURN_IF_ERROR(CheckObjectKey(key));
  const std::lock_guard lock(mutex_);
  if (const auto found = objects_.find(key); found != objects_.end()) objects_.erase(found);
  return absl::OkStatus();
}

absl::StatusOr<std::filesystem::path> MemoryStore::LocalFile(std::string_view key) {
  LIKENESS_ASSIGN_OR_RETURN(const Blob blob, Get(key));
  const std::lock_guard lock(mutex_);
  if (local_.empty()) {
    std::error_code error;
    std::string name = (std::filesystem::temp_directory_path(error) / "likeness_XXXXXX").string();
    if (error || ::mkdtemp(name.data()) == nullptr) {
      return absl::UnavailableError("cannot make a temporary folder for object '" + std::string(key) + "'");
    }
    local_ = name;
  }
  std::filesystem::path path = local_ / Etag(blob);
  LIKENESS_RETURN_IF_ERROR(WriteFileAtomic(path, blob.bytes()));
  return path;
}

}  // namespace likeness
