// What the token index of a collection finds and costs: the visual words in `likeness bench-index`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "base/status.h"
#include "index/snapshot.h"

namespace likeness {

struct TokenQuestion {
  size_t queries = 200;  // stored images that are asked with; all where there are fewer
  uint64_t seed = 1;     // of the choice of queries
};

struct TokenQuality {
  uint64_t images = 0;  // of segments that have a token index
  uint64_t keypoints = 0;
  double bytes = 0;    // of the token files, an image
  size_t queries = 0;  // images without keypoints in their middle are left out
  double found = 0;    // share of the queries whose own picture has the most verified keypoints
  // Of one query over all segments, verification included: processor time of one core, lists in memory.
  double p50_ms = 0;
  double p99_ms = 0;
};

// The rows of a document (docs/formats/local.md); they live as long as the collection does.
using KeypointRows = std::function<absl::StatusOr<std::span<const std::byte>>(Snapshot::Place)>;

// Asks with the keypoints that lie in the middle of a picture, half as wide and half as high: about what a cut-out of
// that quarter would have. Each query is asked twice, and the second time counts. Nothing where no segment has a token
// index. One thread; any. Errors: those of the rows and of FindByTokens.
absl::StatusOr<std::optional<TokenQuality>> MeasureTokens(const Snapshot& snapshot, const KeypointRows& rows,
                                                          const TokenQuestion& question);

}  // namespace likeness
