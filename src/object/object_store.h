// Where immutable bytes live: named objects, put whole, read whole or in ranges, listed in order.
//
// The interface is that of S3, so that a folder, memory and S3 stand behind it alike. An object appears whole or not
// at all, and a conditional put is the only commit that the system knows.
//
// A key is a relative path of parts joined by '/': 1 to 1000 bytes, each part 1 to 200 bytes of printable ASCII without
// '/' and '\', and no part begins with '.'. A malformed key is InvalidArgument everywhere. No key may go on where
// another ends: with "a/b" there, "a/b/c" is refused with FailedPrecondition, but for S3, which does not look.
//
// All calls may be made from any thread, and by several processes at once on the same store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "object/blob.h"

namespace likeness {

struct ObjectInfo {
  std::string key;
  uint64_t size = 0;  // bytes
  std::string etag;   // changes when the content does; List leaves it empty where it would cost a read
};

struct PutOptions {
  bool if_absent = false;                              // AlreadyExists when the key exists, and then it is untouched
  std::optional<std::string> if_match = std::nullopt;  // FailedPrecondition unless the key exists with this etag
  bool take_file = false;                              // PutFile only: the local file may be moved instead of copied
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // Whole or not at all, and durable on return. Errors: AlreadyExists or FailedPrecondition for a lost condition,
  // ResourceExhausted (full), Unavailable: then a put may or may not have happened.
  virtual absl::Status Put(std::string_view key, std::span<const std::byte> bytes, const PutOptions& options = {}) = 0;

  // The same for a local file, which is not read into memory. With take_file it is gone after success.
  virtual absl::Status PutFile(std::string_view key, const std::filesystem::path& path,
                               const PutOptions& options = {}) = 0;

  // The content; a folder maps it. Errors: NotFound, Unavailable.
  virtual absl::StatusOr<Blob> Get(std::string_view key) = 0;

  // Exactly `size` bytes from `offset`. Errors: NotFound; OutOfRange when the object ends before.
  virtual absl::StatusOr<std::string> GetRange(std::string_view key, uint64_t offset, uint64_t size) = 0;

  // Nothing when there is no such object. Always with its etag.
  virtual absl::StatusOr<std::optional<ObjectInfo>> Head(std::string_view key) = 0;

  // Up to `limit` objects whose keys begin with `prefix` (any text) and sort after `start_after`, sorted by key as
  // bytes. Fewer than `limit` means that there are no more.
  virtual absl::StatusOr<std::vector<ObjectInfo>> List(std::string_view prefix, std::string_view start_after,
                                                       size_t limit) = 0;

  // Deleting what is absent is ok. What was deleted may be there again after a loss of power.
  virtual absl::Status Delete(std::string_view key) = 0;

  // A local file with the content, for libraries that read files themselves. The store keeps it; valid as long as the
  // store and the object are; must not be written to. Errors: NotFound.
  virtual absl::StatusOr<std::filesystem::path> LocalFile(std::string_view key) = 0;
};

// InvalidArgument, with the reason, unless `key` is as described above.
absl::Status CheckObjectKey(std::string_view key);

// The same, and InvalidArgument for both conditions at once: what every Put checks first.
absl::Status CheckPut(std::string_view key, const PutOptions& options);

// All objects under `prefix`, page by page.
absl::StatusOr<std::vector<ObjectInfo>> ListAll(ObjectStore& store, std::string_view prefix);

}  // namespace likeness
