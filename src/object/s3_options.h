// Where an S3 server is, who asks it, and how patiently.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "object/s3_credentials.h"

namespace likeness {

struct S3Options {
  std::string endpoint = {};         // "http://host:port" or "https://host"; empty: Amazon's own, of `region`
  std::string region = "us-east-1";  // Ceph and MinIO take any
  std::string bucket = {};           // exists already: a store makes none
  std::string prefix = {};           // see S3Place
  S3Credentials credentials = {};
  std::optional<bool> path_style =
      {};                              // bucket in the path, or in the host's name; nothing: in the path at an endpoint
  std::filesystem::path ca_file = {};  // certificates to trust (PEM); empty: the system's

  std::filesystem::path cache =
      {};  // folder of LocalFile; empty: one in the system's temporary folder, gone at the end
  uint64_t cache_bytes = 20ull << 30;  // what may lie in it; files in use count, and are kept all the same

  uint64_t multipart_from = 64ull << 20;  // larger objects are put in parts
  uint64_t part_bytes = 16ull << 20;      // of a part, at least 5 MiB; more where an object would have over 10,000
  size_t part_threads = 4;                // parts of one object on their way at once

  // Asks of one process alone to write: then servers that do not honor conditional puts serve as well. See S3Store.
  bool single_writer = false;

  std::chrono::milliseconds open_within{4500};      // for Open to succeed or fail
  std::chrono::milliseconds connect_timeout{3000};  // for one connection
  std::chrono::milliseconds stall_timeout{30'000};  // without a byte in either direction; whole seconds
  std::chrono::milliseconds retry_for{60'000};      // from the first failure of a request to the last attempt
  std::chrono::milliseconds backoff{50};            // the first pause is up to this; each pause doubles it
  std::chrono::milliseconds backoff_most{5000};     // no pause is longer
  const Clock* clock = &Clock::System();            // dates the signatures
};

}  // namespace likeness
