// likeness.toml: what a home's owner has chosen. A missing file means the defaults.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "image/limits.h"

namespace likeness {

struct Config {
  ImageLimits image;                             // [image] max_pixels, max_bytes, max_aspect
  std::vector<std::string> features = {"deep"};  // [features] types: what is computed of every image
  std::vector<std::string> models;               // [deep] models: the first one answers queries
  size_t code_bits = 1024;                       // [deep] code_bits: 0 means the layer's own dimension
  size_t shard_images = 200'000;                 // [fingerprint] shard_images: images in a shard at most
  // [fingerprint] chunk_seconds: what one worker should take for a chunk, by the rates measured here before.
  double chunk_seconds = 1800;
  std::optional<size_t> chunk_images;  // [fingerprint] chunk_images: images in a chunk, whatever was measured
  size_t part_images = 512;            // [fingerprint] part_images: a worker puts what it has after so many
  // [queue] lease_seconds: without a sign of life from its worker for so long, a chunk is given to another.
  double lease_seconds = 60;
  size_t threads = 0;  // threads: 0 in the file means one for each available processor
};

// Errors: InvalidArgument, one sentence that names the key, its value and what to do.
absl::StatusOr<Config> ParseConfig(std::string_view toml);
absl::StatusOr<Config> ReadConfig(const std::filesystem::path& path);

}  // namespace likeness
