#include "store/shard_metadata.h"

#include <algorithm>
#include <charconv>

namespace likeness {

std::optional<uint32_t> ParseNumber(const std::string& text) {
  uint32_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || std::to_string(value) != text) return std::nullopt;
  return value;
}

SafetensorsMetadata FormatShardMetadata(std::string_view format, int version, const ShardId& shard) {
  return {{"format", std::string(format)},
          {"format_version", std::to_string(version)},
          {"epoch", shard.epoch.ToString()},
          {"shard", std::to_string(shard.shard)}};
}

absl::StatusOr<ShardId> ParseShardMetadata(const Safetensors& file, std::string_view format, int version) {
  LIKENESS_ASSIGN_OR_RETURN(const std::string have, file.Metadata("format"));
  if (have != format) return absl::DataLossError("this is not a " + std::string(format) + " file");
  LIKENESS_ASSIGN_OR_RETURN(const std::string number, file.Metadata("format_version"));
  const std::optional<uint32_t> format_version = ParseNumber(number);
  if (!format_version || *format_version == 0) return absl::DataLossError("'format_version' is not a number from 1");
  if (*format_version > static_cast<uint32_t>(version)) {
    return absl::UnimplementedError(std::string(format) + " version " + number +
                                    " is newer than this program, which reads up to " + std::to_string(version));
  }
  LIKENESS_ASSIGN_OR_RETURN(const std::string date, file.Metadata("epoch"));
  LIKENESS_ASSIGN_OR_RETURN(const std::string shard, file.Metadata("shard"));
  const std::optional<Epoch> epoch = Epoch::Parse(date);
  const std::optional<uint32_t> shard_number = ParseNumber(shard);
  if (!epoch || !shard_number) return absl::DataLossError("'epoch' and 'shard' name no shard");
  return ShardId{*epoch, *shard_number};
}

absl::StatusOr<std::span<const Signature>> ReadSignatures(const Safetensors& file) {
  static_assert(sizeof(Signature) == 16 && alignof(Signature) == 1);
  LIKENESS_ASSIGN_OR_RETURN(const auto bytes, file.Elements<std::byte>("signatures", Dtype::kU8));
  const std::vector<uint64_t>& shape = file.Find("signatures")->spec.shape;
  if (shape.size() != 2 || shape[1] != 16) return absl::DataLossError("'signatures' are not [n, 16]");
  const std::span signatures(reinterpret_cast<const Signature*>(bytes.data()), bytes.size() / sizeof(Signature));
  const auto not_ascending = [](const Signature& a, const Signature& b) { return !(a < b); };
  if (std::ranges::adjacent_find(signatures, not_ascending) != signatures.end()) {
    return absl::DataLossError("'signatures' are not sorted and distinct");
  }
  return signatures;
}

}  // namespace likeness
