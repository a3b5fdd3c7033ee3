// One shard of one feature: for each image of the shard, sorted by signature, a value or the reason why there is none.
// Format: docs/formats/safetensors-shards.md. A part (a work chunk's output before it is joined) is the same thing with
// fewer images.
//
// A FeatureShardWriter makes it once; the sealed bytes never change, and are the same for the same content however it
// was cut into parts and ordered.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/status.h"
#include "object/blob.h"
#include "store/safetensors.h"
#include "types/epoch.h"
#include "types/feature_key.h"
#include "types/feature_layout.h"
#include "types/signature.h"

namespace likeness {

// What all values of a shard have in common.
struct FeatureShardInfo {
  FeatureKey feature;
  ShardId shard;
  FeatureLayout layout;
  friend bool operator==(const FeatureShardInfo&, const FeatureShardInfo&) = default;
};

// Pixels of the upright image; 0 x 0 for an image that could not be read.
struct ImageSize {
  int32_t width = 0;
  int32_t height = 0;
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

// Opens the writer that a shard is sealed into.
using SafetensorsOpener = std::function<absl::StatusOr<std::unique_ptr<SafetensorsWriter>>(
    std::vector<TensorSpec> specs, const SafetensorsMetadata& metadata)>;

// Takes images in any order, holds them in memory, seals them sorted. One thread at a time.
class FeatureShardWriter {
 public:
  explicit FeatureShardWriter(FeatureShardInfo info);

  // `value`: rows of `dimension` elements, in little-endian bytes. Errors: InvalidArgument (wrong size, an image
  // twice).
  absl::Status Add(const Signature& signature, ImageSize size, std::span<const std::byte> value);
  // The same for halves, given as their bits. REQUIRES: dtype is kF16
  absl::Status Add(const Signature& signature, ImageSize size, std::span<const uint16_t> value) {
    return Add(signature, size, std::as_bytes(value));
  }
  // An image that has no value, and why (the first 500 bytes of it). A shard keeps the first 254 distinct reasons in
  // sorted order; for the images of all others it says that there were more.
  absl::Status AddFailure(const Signature& signature, std::string_view reason);

  size_t size() const { return rows_.size(); }

  // Seal holds the values a second time. Errors: InvalidArgument (dimension 0), those of the disk.
  absl::StatusOr<std::string> Seal();
  absl::Status SealToFile(const std::filesystem::path& path);

 private:
  struct Row {
    Signature signature;
    ImageSize size;
    uint64_t offset;  // in values_, bytes
    uint64_t bytes;
    std::optional<uint32_t> reason;  // in reasons_
  };
  absl::Status Take(const Row& row);
  absl::Status SealTo(const SafetensorsOpener& open);

  const FeatureShardInfo info_;
  std::string values_;
  std::vector<Row> rows_;
  std::unordered_set<Signature, SignatureHash> seen_;
  std::vector<std::string> reasons_;                        // distinct, in the order of their coming
  std::map<std::string, uint32_t, std::less<>> reason_of_;  // places in reasons_
};

// A sealed shard or part, open for reading. Copies are cheap. Any thread.
class FeatureShard {
 public:
  // Checks shapes, order and offsets, not the values; VerifyChecksum does. Errors: DataLoss; Unimplemented for a
  // version of the format that is newer than this code.
  static absl::StatusOr<FeatureShard> Open(Blob blob);

  const FeatureShardInfo& info() const { return info_; }
  size_t size() const { return signatures_.size(); }
  std::span<const Signature> signatures() const { return signatures_; }  // sorted, distinct
  // The image's place in signatures(), or nothing.
  std::optional<size_t> Find(const Signature& signature) const;

  bool has_value(size_t i) const { return status_[i] == 0; }
  // Empty when there is a value.
  std::string_view failure(size_t i) const;
  ImageSize image_size(size_t i) const {
    return sizes_.empty() ? ImageSize{} : ImageSize{sizes_[2 * i], sizes_[2 * i + 1]};
  }

  // The value's bytes: one row (zeros when there is none), or all rows of a ragged shard (none when there is no value).
  std::span<const std::byte> value(size_t i) const;
  // The same as halves. REQUIRES: info().layout.dtype is kF16
  std::span<const uint16_t> halves(size_t i) const {
    const std::span<const std::byte> bytes = value(i);
    return {reinterpret_cast<const uint16_t*>(bytes.data()), bytes.size() / sizeof(uint16_t)};
  }
  // All values [rows, dimension] as they lie.
  std::span<const std::byte> values() const { return values_; }

  absl::Status VerifyChecksum() const { return file_.VerifyChecksum(); }

 private:
  explicit FeatureShard(Safetensors file) : file_(std::move(file)) {}

  Safetensors file_;
  FeatureShardInfo info_;
  std::span<const Signature> signatures_;
  std::span<const std::byte> values_;
  std::span<const uint8_t> status_;
  std::span<const int32_t> sizes_;    // [n, 2], or empty
  std::span<const int64_t> offsets_;  // [n + 1], or empty when not ragged
  std::vector<std::string> reasons_;  // of status 1, 2, ...
};

// Joins the parts of one cell. An image may be in several parts, because a worker that lost its lease has
// put its part all the same; the values are equal, or, from processors that round in different ways, equal within what
// their version promises. Whatever the order of the parts, the same one stays: a value before a reason, of two values
// or two reasons the one that sorts first as bytes. The result is what one writer would have sealed. Errors:
// InvalidArgument when there is no part or they are not of one cell.
absl::StatusOr<std::string> MergeFeatureShards(std::span<const FeatureShard> parts);
// The same to a file at `path`, with memory for the signatures but not the values.
absl::Status MergeFeatureShardsToFile(std::span<const FeatureShard> parts, const std::filesystem::path& path);

}  // namespace likeness
