// The images of one shard of one epoch: what there is to compute. Format: docs/formats/safetensors-shards.md.
#pragma once

#include <span>
#include <string>
#include <utility>

#include "base/status.h"
#include "object/blob.h"
#include "store/safetensors.h"
#include "types/epoch.h"
#include "types/signature.h"

namespace likeness {

inline constexpr size_t kMaxShardImages = 200'000;

// Errors: InvalidArgument unless the signatures are sorted, distinct and at most kMaxShardImages.
absl::StatusOr<std::string> WriteEpochList(const ShardId& shard, std::span<const Signature> signatures);

// Sealed, mapped. Copies are cheap. Any thread.
class EpochList {
 public:
  // Errors: DataLoss; Unimplemented for a newer version of the format.
  static absl::StatusOr<EpochList> Open(Blob blob);

  const ShardId& shard() const { return shard_; }
  std::span<const Signature> signatures() const { return signatures_; }  // sorted, distinct
  absl::Status VerifyChecksum() const { return file_.VerifyChecksum(); }

 private:
  explicit EpochList(Safetensors file) : file_(std::move(file)) {}

  Safetensors file_;
  ShardId shard_;
  std::span<const Signature> signatures_;
};

}  // namespace likeness
