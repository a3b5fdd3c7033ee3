// likeness.toml: what a home's owner has chosen. A missing file means the defaults.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "feature/vocabulary.h"
#include "image/limits.h"
#include "infer/model.h"
#include "types/signal.h"

namespace likeness {

// Where the bytes lie.
struct ObjectsConfig {
  std::string url;       // "s3://BUCKET/PREFIX"; empty: the folder HOME/objects
  std::string endpoint;  // "http://HOST:PORT"; empty: Amazon's
  std::string region = "us-east-1";
  std::string credentials_file;        // empty: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
  std::string ca_file;                 // empty: the system's
  uint64_t cache_bytes = 20ull << 30;  // of HOME/cache
  bool single_writer = false;          // S3Options::single_writer
};

// Where the facts lie.
struct CatalogConfig {
  std::string url;            // "postgresql://USER@HOST/DATABASE"; empty: HOME/catalog.sqlite
  double retry_seconds = 60;  // for how long a server that went away is waited for
};

// Where the work waits.
struct QueueConfig {
  std::string url;  // "nats://HOST:PORT,nats://..." or "postgresql://..."; empty: HOME/queue.sqlite
  std::string name = "likeness";
  size_t replicas = 3;           // of NATS
  std::string user;              // of NATS
  std::string password_file;     // of NATS, beside user
  std::string token_file;        // of NATS
  std::string credentials_file;  // of NATS
  std::string ca_file;           // of NATS
  double lease_seconds = 60;     // without a sign of life from its worker for so long, a chunk is given to another
};

// How hits are ranked: docs/ranking.md.
struct RankConfig {
  std::optional<SignalWeights> weights;  // [rank.weights] SIGNAL: a signal that is not named has the weight 0
  // What is not probably relevant is left out, unless a request says otherwise. Unset: where the home has a calibration
  // of its own (`likeness train floor`).
  std::optional<bool> floor;
};

// Who searches for `likeness root`.
struct ClusterConfig {
  std::vector<std::string> leaves;  // "HOST:PORT" each; with discovery "nats" none
  std::string discovery = "list";   // or "nats": leaves say where they are, on the servers of [queue]
  std::string token_file;           // that leaves want of roots; empty: none
  double patience_seconds = 1;      // for one leaf to answer
  double alive_seconds = 5;         // of a leaf that gives no sign of life, with discovery "nats"
};

// Relative paths are meant from the home. Each member is a key of the file: docs/configuration.md.
struct Config {
  ImageLimits image;  // [image] max_pixels, max_bytes, max_aspect
  std::vector<std::string> features = {"deep", "color", "pdq",
                                       "local"};  // [features] types: what is computed of every image
  std::vector<std::string> models;                // [deep] models: the first one answers queries
  std::optional<Precision> precision;             // [deep] precision: none means each model card's own
  Executor executor = Executor::kAuto;            // [deep] executor
  std::string vocabulary{kDefaultVocabulary};     // [local] vocabulary
  bool tokens = true;                             // [tokens] build: whether releases have an index of visual words
  uint64_t token_cache_bytes = 512ull << 20;      // [tokens] cache_bytes: of its postings, in memory of a server
  size_t code_bits = 1024;                        // [deep] code_bits: 0 means the layer's own dimension
  size_t shard_images = 200'000;                  // [fingerprint] shard_images: images in a shard at most
  // [fingerprint] chunk_seconds: what one worker should take for a chunk, by the rates measured here before.
  double chunk_seconds = 1800;
  double search_effort = 1;            // [search] effort: how hard graphs are searched (NearestOptions::effort)
  std::optional<size_t> chunk_images;  // [fingerprint] chunk_images: images in a chunk, whatever was measured
  size_t part_images = 512;            // [fingerprint] part_images: a worker puts what it has after so many
  ObjectsConfig objects;               // [objects]
  CatalogConfig catalog;               // [catalog]
  QueueConfig queue;                   // [queue]
  RankConfig rank;                     // [rank]
  ClusterConfig cluster;               // [cluster]
  size_t threads = 0;                  // threads: 0 in the file means one for each available processor
};

// Errors: InvalidArgument, one sentence that names the key, its value and what to do.
absl::StatusOr<Config> ParseConfig(std::string_view toml);
absl::StatusOr<Config> ReadConfig(const std::filesystem::path& path);

}  // namespace likeness
