#include "store/epoch_list.h"

#include <algorithm>

#include "store/shard_metadata.h"

namespace likeness {
namespace {

constexpr char kFormat[] = "likeness.epoch-list";
constexpr int kVersion = 1;

}  // namespace

absl::StatusOr<std::string> WriteEpochList(const ShardId& shard, std::span<const Signature> signatures) {
  const auto not_ascending = [](const Signature& a, const Signature& b) { return !(a < b); };
  if (std::ranges::adjacent_find(signatures, not_ascending) != signatures.end()) {
    return absl::InvalidArgumentError("the signatures of an epoch list must be sorted and distinct");
  }
  if (signatures.size() > kMaxShardImages) {
    return absl::InvalidArgumentError("a shard has at most " + std::to_string(kMaxShardImages) + " images");
  }
  const TensorData tensor{{"signatures", Dtype::kU8, {signatures.size(), 16}}, std::as_bytes(signatures)};
  return WriteSafetensors(std::span(&tensor, 1), FormatShardMetadata(kFormat, kVersion, shard));
}

absl::StatusOr<EpochList> EpochList::Open(Blob blob) {
  LIKENESS_ASSIGN_OR_RETURN(Safetensors file, Safetensors::Open(std::move(blob)));
  EpochList list(std::move(file));
  LIKENESS_ASSIGN_OR_RETURN(list.shard_, ParseShardMetadata(list.file_, kFormat, kVersion));
  LIKENESS_ASSIGN_OR_RETURN(list.signatures_, ReadSignatures(list.file_));
  if (list.signatures_.size() > kMaxShardImages || list.file_.tensors().size() != 1) {
    return absl::DataLossError("an epoch list has one tensor of at most 200,000 signatures");
  }
  return list;
}

}  // namespace likeness
