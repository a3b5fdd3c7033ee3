// What is in a file, whatever it is called: for `likeness inspect` and for people in trouble.
#pragma once

#include <filesystem>
#include <string>

#include "base/status.h"

namespace likeness {

// Recognises safetensors (and among them feature shards and epoch lists), fingerprint SST, young batches and release
// files by their content, checks all of it with its checksums, and describes it as one JSON object with `format`,
// `format_version`, and the details of its kind. Errors: NotFound; DataLoss when it is damaged; Unimplemented for a
// file of no kind of ours (index segments are recognised by room `index`).
absl::StatusOr<std::string> InspectFile(const std::filesystem::path& path);

}  // namespace likeness
