// What feature shards and epoch lists have in common: which shard they are of, and their signatures.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "store/safetensors.h"
#include "types/epoch.h"
#include "types/signature.h"

namespace likeness {

// A decimal number without sign or leading zeros, as metadata has them.
std::optional<uint32_t> ParseNumber(const std::string& text);

// `format`, `format_version`, `epoch` and `shard`.
SafetensorsMetadata FormatShardMetadata(std::string_view format, int version, const ShardId& shard);

// The same read back. Errors: DataLoss when it is another format; Unimplemented when the version is above `version`.
absl::StatusOr<ShardId> ParseShardMetadata(const Safetensors& file, std::string_view format, int version);

// Tensor `signatures` u8[n, 16] where it lies. Errors: DataLoss unless sorted and distinct.
absl::StatusOr<std::span<const Signature>> ReadSignatures(const Safetensors& file);

}  // namespace likeness
