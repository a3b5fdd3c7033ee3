// Makes the bytes of an SST file depend on nothing but its content.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/status.h"

namespace likeness {

// RocksDB 7.8 writes a random session identity of 20 letters into the properties of every file, and caches blocks under
// it. This puts a digest of the rest of the file in its place, so that equal content gives equal bytes and different
// files keep different identities, and renews the checksum of the properties block.
//
// `path` is a finished file, block-based, with checksums of kind XXH3; `session` is the identity it carries.
// Errors: Internal when the file is not built as this code expects (another version of RocksDB), Unavailable.
absl::Status PinSstIdentity(const std::filesystem::path& path, std::string_view session);

}  // namespace likeness
