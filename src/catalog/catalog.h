// The facts that change: which images there are, where their bytes lie, who pinned them where and with which words.
//
// One SQLite file that several processes may open at once (write-ahead log), or a PostgreSQL database for many
// machines: the same tables, the same statements, the same answers (docs/formats/catalog.md). All functions may be
// called from any thread and take effect whole or not at all; what changes images is done by one process at a time. A
// lost connection or a restarted server is survived: the whole transaction is tried again for
// CatalogOptions::retry_for. Errors of the database: ResourceExhausted (disk full), Unavailable (locked for longer than
// 30 s, or a server that did not come back), DataLoss (damaged file), FailedPrecondition (not allowed), Internal.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "types/epoch.h"
#include "types/feature_key.h"
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
  std::string location;  // where the bytes are: "file:PATH", or "object:KEY" with a KEY that ends in /SIGNATURE
  std::string reason;    // why it is quarantined; empty when it is not
  bool removed = false;  // for good: no query finds it, and `add` does not bring it back
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
  bool revive = false;  // the image is wanted again, should it be removed
};

struct ShardRecord {
  ShardId id;
  uint64_t images = 0;
};

struct Quarantined {
  std::string source;  // path of the file, or the signature when no source names it
  std::string reason;
  uint32_t attempts = 1;
};

// Why an image cannot be used.
struct ImageFault {
  std::string reason;
  uint32_t attempts = 1;  // how often it was tried
  // The bytes were not to be had and nothing was computed from them: when `add` meets the same bytes again, the image
  // leaves quarantine, and comes into a new shard. False when the bytes themselves are at fault.
  bool gone = false;
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

// A sign of life of a process that computes features.
struct WorkerBeat {
  std::string name;  // unique among the workers of the collection
  std::string host;
  std::chrono::sys_seconds started{};
  std::chrono::sys_seconds last_seen{};  // by the catalog's clock, which sets it; whoever beats leaves it alone
  std::string chunk;                     // what it works on; empty when it waits
  uint64_t images = 0;                   // done since it was started
  double images_per_second = 0;
};

// What a feature has cost so far, over all workers.
struct FeatureRate {
  FeatureKey feature;
  uint64_t images = 0;
  double seconds = 0;  // of one core
};

struct CatalogOptions {
  std::chrono::milliseconds retry_for{60'000};  // for how long a server that went away is waited for
};

class Catalog {
 public:
  // Opens the file, making it when it is missing; a file of an older version is brought up to date. Errors:
  // FailedPrecondition when it was made by a newer version.
  static absl::StatusOr<std::unique_ptr<Catalog>> Open(const std::filesystem::path& path);
  // Opens the catalog in a PostgreSQL database, making its tables when they are missing. `url` is
  // postgresql://USER@HOST:PORT/DATABASE as libpq reads it; the password comes from PGPASSFILE or PGPASSWORD and is
  // refused in the address. Errors, each within 5 s and each with what to do: InvalidArgument (no such address),
  // Unavailable (unreachable), FailedPrecondition (wrong password, no such database, made by a newer version).
  static absl::StatusOr<std::unique_ptr<Catalog>> Connect(const std::string& url, const CatalogOptions& options = {});
  virtual ~Catalog() = default;

  // For each path, what is recorded of it; nothing too when its image left with ImageFault::gone, so that it is read.
  virtual absl::StatusOr<std::vector<std::optional<SourceRecord>>> Sources(std::span<const std::string> paths) = 0;
  // Every path that held these bytes when it was last looked at, sorted.
  virtual absl::StatusOr<std::vector<std::string>> Paths(const Signature& signature) = 0;
  // For each pin identifier, the digest of the pin as it is recorded (PinDigest), or none.
  virtual absl::StatusOr<std::vector<std::optional<uint64_t>>> PinDigests(std::span<const std::string> ids) = 0;
  // Records all in one transaction. A source or pin that is known is replaced. An image that is known is kept as it is,
  // but one in quarantine that belongs to no shard, or was gone, is looked at with new eyes.
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
  // Marks an image as one that cannot be used; it stays recorded and is not tried again. Unknown ones are passed over.
  virtual absl::Status QuarantineImage(const Signature& signature, const ImageFault& fault) = 0;
  absl::Status QuarantineImage(const Signature& signature, const std::string& reason) {
    return QuarantineImage(signature, ImageFault{.reason = reason});
  }
  // Images that no pin names any more, ascending: their file now holds other bytes.
  virtual absl::StatusOr<std::vector<Signature>> Unpinned() = 0;

  // Takes an image out for good; false when it is not known, or was removed before. It stays recorded, with its pins,
  // so that Record knows its file and does not bring it back, unless Addition::revive asks for it. One that belongs to
  // no shard yet will belong to none.
  virtual absl::StatusOr<bool> Remove(const Signature& signature) = 0;
  // Images that are removed, ascending.
  virtual absl::StatusOr<std::vector<Signature>> Removed() = 0;
  // Counts up whenever an image is removed or revived, or leaves its last pin or gets a pin again: a cheap question
  // whether Removed and Unpinned say something new.
  virtual absl::StatusOr<uint64_t> HiddenChanges() = 0;

  // Puts every image that belongs to no shard yet and is not quarantined into one: an epoch's images, in the order of
  // their coming, are cut into as few even shards of at most `most` as will do. Returns the new shards. Two that cut at
  // once do no harm: one of them finds nothing left. REQUIRES: most > 0
  virtual absl::StatusOr<std::vector<ShardRecord>> CutShards(uint64_t most) = 0;
  // By epoch, then number.
  virtual absl::StatusOr<std::vector<ShardRecord>> Shards() = 0;
  // What a shard was made of, ascending: the same for ever. Empty when there is no such shard.
  virtual absl::StatusOr<std::vector<Signature>> ShardSignatures(const ShardId& shard) = 0;
  // Images(), as the shard sees them: an image that has come into a later shard since has that as its reason.
  virtual absl::StatusOr<std::vector<ImageRecord>> ShardImages(const ShardId& shard,
                                                               std::span<const Signature> signatures) = 0;

  // Says that a worker lives, and what it does.
  virtual absl::Status Heartbeat(const WorkerBeat& beat) = 0;
  // Workers that were seen within that time, by name.
  virtual absl::StatusOr<std::vector<WorkerBeat>> Workers(std::chrono::seconds within) = 0;
  // Adds to the sums of a feature.
  virtual absl::Status RecordRate(const FeatureRate& spent) = 0;
  // The sums of every feature, by feature.
  virtual absl::StatusOr<std::vector<FeatureRate>> Rates() = 0;
};

// A digest of all members of a pin; equal pins have equal digests.
uint64_t PinDigest(const Pin& pin);

}  // namespace likeness
