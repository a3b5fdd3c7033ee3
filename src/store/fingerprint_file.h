// Fingerprints by signature, sorted, for random access (the paper's HFile of visualjoins): a RocksDB SST file with
// protobuf values. Format: docs/formats/fingerprint-sst.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/status.h"
#include "types/epoch.h"
#include "types/fingerprint.h"
#include "types/signature.h"

namespace likeness {

// Writes one file, front to back. The same fingerprints give the same bytes. One thread at a time.
class FingerprintWriter {
 public:
  // A new file at `path`; it is whole only after Seal, so write it in a scratch place and put it from there.
  static absl::StatusOr<std::unique_ptr<FingerprintWriter>> Create(const std::filesystem::path& path,
                                                                   const ShardId& shard);
  ~FingerprintWriter();  // Removes the file when it was not sealed.
  FingerprintWriter(const FingerprintWriter&) = delete;
  FingerprintWriter& operator=(const FingerprintWriter&) = delete;

  // Errors: InvalidArgument unless signatures ascend and the features are sorted by key without doubles;
  // ResourceExhausted, Unavailable.
  absl::Status Add(const Fingerprint& fingerprint);
  // Errors: FailedPrecondition when nothing was added (an SST cannot be empty).
  absl::Status Seal();

 private:
  struct File;
  explicit FingerprintWriter(std::unique_ptr<File> file);
  std::unique_ptr<File> file_;
};

// A sealed file, open for reading. Any thread.
class FingerprintFile {
 public:
  // Errors: NotFound, DataLoss; Unimplemented for a newer version of the format.
  static absl::StatusOr<std::unique_ptr<FingerprintFile>> Open(const std::filesystem::path& path);
  ~FingerprintFile();
  FingerprintFile(const FingerprintFile&) = delete;
  FingerprintFile& operator=(const FingerprintFile&) = delete;

  uint64_t size() const;  // fingerprints
  const ShardId& shard() const;

  // Errors: NotFound, DataLoss.
  absl::StatusOr<Fingerprint> Get(const Signature& signature) const;
  // Calls `visit` for every fingerprint, in ascending order of signatures, until it fails; the failure is returned.
  absl::Status ForEach(const std::function<absl::Status(Fingerprint)>& visit) const;
  // Reads the whole file against the checksums of its blocks.
  absl::Status VerifyChecksum() const;
  // RocksDB's own properties of the file and ours, for inspection.
  std::map<std::string, std::string> Properties() const;

 private:
  struct File;
  explicit FingerprintFile(std::unique_ptr<File> file);
  std::unique_ptr<File> file_;
};

}  // namespace likeness
