// The JSON header of a safetensors file, apart from its data: what safetensors.cc reads and writes with.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "store/safetensors.h"

namespace likeness {

struct SafetensorsHeader {
  struct Entry {
    TensorSpec spec;
    uint64_t begin = 0;  // bytes from the start of the data area, half open
    uint64_t end = 0;
  };
  std::vector<Entry> entries;  // in the order of the text
  SafetensorsMetadata metadata;
};

std::optional<Dtype> ParseDtype(std::string_view name);

// Bytes of a tensor, or nothing when its shape overflows; a zero does not excuse the other dimensions.
std::optional<uint64_t> TensorBytes(const TensorSpec& spec);

// Reads the text, which must hold nothing else. Does not look at how tensors lie. Errors: DataLoss, Unimplemented.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view text);

// `checksum` comes first in the metadata, as 16 zeros, and stands right after kHeaderStart.
inline constexpr std::string_view kHeaderStart = R"({"__metadata__":{"checksum":")";
std::string FormatSafetensorsHeader(const SafetensorsHeader& header);

}  // namespace likeness
