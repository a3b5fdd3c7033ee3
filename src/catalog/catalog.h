// The facts that change: which images there are, where their bytes lie, who pinned them where and with which words.
//
// One SQLite file that several processes may open at once (write-ahead log); the same statements are to run on
// PostgreSQL. All functions may be called from any thread and take effect whole or not at all. Errors of the database:
// ResourceExhausted (disk full), Unavailable (locked for longer than 30 s), DataLoss (damaged file), Internal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "types/epoch.h"
#include "types/pin.h"
#include "types/signature.h"

namespace likeness {

// An image that is known by its signature. Width and height are pixels of the upright image.
struct ImageRecord {
  Signature signature;
  std::string format;  // "jpeg", "png", ...; empty when quarantined before its header was read
  uint64_t bytes = 0;  // size of the original file
  uint32_t width = 0;
  uint32_t height = 0;
  Epoch epoch;
  std::optional<uint32_t> shard;  // none until job 1 has put it into a shard
  std::string location;           // where the bytes are: "file:PATH", or "object:KEY"
  std::string reason;             // why it is quarantined; empty when it is not
};

// A place that was looked at: what it held then, and when it was last changed. Lets `add` pass over what it knows.
struct SourceRecord {
  std::string path;
  uint64_t size = 0;
  int64_t modified_ns = 0;             // since the Unix epoch
  std::optional<Signature> signature;  // none when the bytes were refused unread
  std::string reason;                  // why the bytes were refused; empty when they were not
};

// One file or line that `add` has looked at, to be recorded.
struct Addition {
  SourceRecord source;
  std::optional<ImageRecord> image;  // with source.signature; its epoch is kept from the first time
  std::optional<Pin> pin;
};

struct ShardRecord {
  ShardId id;
  uint64_t images = 0;
};

struct Quarantined {
  std::string source;  // path of the file, or the signature when no source names it
  std::string reason;
};

struct CatalogCounts {
  uint64_t images = 0;  // not quarantined
  uint64_t pins = 0;
  uint64_t quarantined = 0;
};

// Empty members filter nothing; an image matches when one of its pins does.
struct PinFilter {
  std::string board;  // identifier of the board
  std::string text;   // every word must begin a word of the pin's description or board title, case aside
  bool empty() const { return board.empty() && text.empty(); }
};

class Catalog {
 public:
  // Opens the file, making it when it is missing. Errors: FailedPrecondition when it was made by a newer version.
  static absl::StatusOr<std::unique_ptr<Catalog>> Open(const std::filesystem::path& path);
  virtual ~Catalog() = default;

  // For each path, what is recorded of it.
  virtual absl::StatusOr<std::vector<std::optional<SourceRecord>>> Sources(std::span<const std::string> paths) = 0;
  // Every path that held these bytes when it was last looked at, sorted.
  virtual absl::StatusOr<std::vector<std::string>> Paths(const Signature& signature) = 0;
  // For each pin identifier, the digest of the pin as it is recorded (PinDigest), or none.
  virtual absl::StatusOr<std::vector<std::optional<uint64_t>>> PinDigests(std::span<const std::string> ids) = 0;
  // Records all in one transaction. A source or pin that is known is replaced. An image that is known is kept as it is,
  // but one in quarantine that belongs to no shard is looked at with new eyes.
  virtual absl::Status Record(std::span<const Addition> additions) = 0;

  virtual absl::StatusOr<CatalogCounts> Counts() = 0;
  virtual absl::StatusOr<std::optional<ImageRecord>> Image(const Signature& signature) = 0;
  // Records for those of `signatures` that are known, in the same order; unknown ones are left out.
  virtual absl::StatusOr<std::vector<ImageRecord>> Images(std::span<const Signature> signatures) = 0;
  virtual absl::StatusOr<std::vector<Pin>> Pins(std::span<const Signature> signatures) = 0;
  virtual absl::StatusOr<std::vector<Board>> Boards() = 0;
  // Signatures of the images that match, ascending. REQUIRES: !filter.empty()
  virtual absl::StatusOr<std::vector<Signature>> Match(const PinFilter& filter) = 0;
  // At most `limit`, by source.
  virtual absl::StatusOr<std::vector<Quarantined>> Quarantine(uint64_t limit) = 0;
  // Marks an image as one that cannot be used, with the reason; it stays recorded and is not tried again.
  virtual absl::Status QuarantineImage(const Signature& signature, const std::string& reason) = 0;
  // Images that no pin names any more, ascending: their file now holds other bytes.
  virtual absl::StatusOr<std::vector<Signature>> Unpinned() = 0;

  // Images that belong to no shard yet and are not quarantined, by epoch, then signature.
  virtual absl::StatusOr<std::vector<std::pair<Epoch, Signature>>> Unsharded() = 0;
  // Makes a shard of them. Errors: AlreadyExists when the shard exists or one of them has got a shard meanwhile.
  virtual absl::Status AddShard(const ShardId& shard, std::span<const Signature> signatures) = 0;
  // By epoch, then number.
  virtual absl::StatusOr<std::vector<ShardRecord>> Shards() = 0;
  // The images of a shard, ascending by signature, quarantined ones among them.
  virtual absl::StatusOr<std::vector<ImageRecord>> ShardImages(const ShardId& shard) = 0;
};

// A digest of all members of a pin; equal pins have equal digests.
uint64_t PinDigest(const Pin& pin);

}  // namespace likeness
