// An object store on S3: Ceph RGW, MinIO, Amazon's.
//
// Conditions. A put with if_absent sends `If-None-Match: *`, one with if_match sends `If-Match`; the server decides
// both atomically, and this is what commits rest on. Open tries both on the object `likeness-probe` under the prefix.
// Where the server ignores them,
//   - if_absent asks first and puts then. Two writers may both believe to be the first. That is harmless for all but
//   one
//     kind of object of ours, since keys name their content or what it is computed from: both put equal bytes;
//   - if_match, with which releases are switched, is refused with FailedPrecondition, because a switch could be lost,
//     unless S3Options::single_writer says that there is one writer: then it asks first, too.
// Both is logged as a warning at Open.
//
// Integrity. A put is signed over the SHA-256 of its content, so the server refuses bytes that were damaged on their
// way. A whole read is checked (object/s3_content.h) and asked again when it is damaged, three times, then DataLoss.
// GetRange is held to its size: formats that are read in ranges carry checksums of their own, and https has its own.
//
// Large objects are put in parts, a part again when it fails, and the upload is aborted when the whole fails. A killed
// writer leaves parts that no list shows: let the server expire them (a lifecycle rule AbortIncompleteMultipartUpload).
// Where the server does not honor the condition at the end of such an upload, as Ceph's does not, conditional puts of
// up to 5 GiB are sent in one piece instead.
//
// Unlike the other stores, this one lets a key go on where another ends: to look would double each put.
//
// Cost: a put, a read and a Head are one request each, LocalFile a Head when the file is in the cache. Requests of many
// threads go over as many connections, which are kept.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "object/object_store.h"
#include "object/s3_options.h"

namespace likeness {

class FileCache;
class S3Client;
struct S3Body;
struct S3Digests;
struct S3Reply;

class S3Store final : public ObjectStore {
 public:
  // Asks the server for the bucket, with the credentials, and probes its conditions. Errors, within open_within, each
  // one sentence without a secret: Unavailable (no server there), FailedPrecondition (no such bucket, credentials or
  // clock not accepted, TLS, another region, no use of the cache), InvalidArgument (endpoint, bucket, prefix, sizes).
  static absl::StatusOr<std::unique_ptr<S3Store>> Open(const S3Options& options);
  ~S3Store() override;

  absl::Status Put(std::string_view key, std::span<const std::byte> bytes, const PutOptions& options = {}) override;
  absl::Status PutFile(std::string_view key, const std::filesystem::path& path,
                       const PutOptions& options = {}) override;
  // Objects above 64 MiB are mapped from a file in the cache folder, smaller ones are in memory.
  absl::StatusOr<Blob> Get(std::string_view key) override;
  absl::StatusOr<std::string> GetRange(std::string_view key, uint64_t offset, uint64_t size) override;
  absl::StatusOr<std::optional<ObjectInfo>> Head(std::string_view key) override;
  absl::StatusOr<std::vector<ObjectInfo>> List(std::string_view prefix, std::string_view start_after,
                                               size_t limit) override;
  absl::Status Delete(std::string_view key) override;
  // The file is held in the cache as long as the store and the object are.
  absl::StatusOr<std::filesystem::path> LocalFile(std::string_view key) override;

  // Whether the server decides the conditions of puts.
  bool honors_if_absent() const { return honors_if_absent_; }
  bool honors_if_match() const { return honors_if_match_; }

  struct Counts {
    uint64_t requests = 0;
    uint64_t retries = 0;
  };
  Counts counts() const;

 private:
  enum class Parts { kUnknown, kHonored, kIgnored };  // the condition at the end of an upload in parts

  S3Store() = default;

  absl::Status Probe();
  absl::StatusOr<Parts> ProbeParts();
  std::string KeyOf(std::string_view key) const { return prefix_ + std::string(key); }
  absl::Status PutBody(std::string_view key, const S3Body& body, const PutOptions& options);
  absl::Status PutWhole(std::string_view key, const S3Body& body, const S3Digests& digests, const PutOptions& options);
  absl::Status PutInParts(std::string_view key, const S3Body& body, const S3Digests& digests, uint64_t part_bytes,
                          const PutOptions& options);
  absl::Status AskFirst(std::string_view key, const PutOptions& options);
  // What an answer to the last request of a put means.
  absl::Status Outcome(std::string_view key, const S3Reply& reply, const std::string& token, const PutOptions& options);
  absl::StatusOr<std::optional<S3Reply>> Ask(std::string_view key);
  std::string CacheName(std::string_view key, const std::string& etag) const;
  void ForgetWhatIsGone();

  std::unique_ptr<S3Client> client_;
  std::unique_ptr<FileCache> cache_;
  std::filesystem::path own_cache_;  // removed at the end; empty: the cache is the caller's
  std::string prefix_;               // with '/' at its end, or empty
  bool honors_if_absent_ = false;
  bool honors_if_match_ = false;

  std::mutex lent_mutex_;
  std::map<std::string, std::string> lent_;  // guarded by lent_mutex_: names in the cache -> keys

  std::mutex parts_mutex_;
  Parts parts_ = Parts::kUnknown;  // guarded by parts_mutex_
};

}  // namespace likeness
