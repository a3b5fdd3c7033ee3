// likeness.toml: what a home's owner has chosen. A missing file means the defaults.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "image/limits.h"

namespace likeness {

struct Config {
  ImageLimits image;                // [image] max_pixels, max_bytes, max_aspect
  std::vector<std::string> models;  // [deep] models: the first one answers queries
  size_t code_bits = 1024;          // [deep] code_bits: 0 means the layer's own dimension
  size_t shard_images = 200'000;    // [fingerprint] shard_images: images in a shard at most
  size_t chunk_images = 512;        // [fingerprint] chunk_images: images in a work chunk
  size_t threads = 0;               // threads: 0 in the file means one for each available processor
};

// Errors: InvalidArgument, one sentence that names the key, its value and what to do.
absl::StatusOr<Config> ParseConfig(std::string_view toml);
absl::StatusOr<Config> ReadConfig(const std::filesystem::path& path);

}  // namespace likeness
