// One chunk of work: the pictures of a range of a shard, decoded once each, for all features that lack them.
#pragma once

#include <atomic>
#include <functional>
#include <string_view>

#include "base/status.h"
#include "pipeline/chunk.h"
#include "pipeline/features.h"
#include "pipeline/home.h"
#include "pipeline/work.h"

namespace likeness {

// Computes what no part holds of `chunk` yet, a slice of part_images at a time, and puts each slice as parts. Stops
// soon when `stop` is set, with what it has put. `tick` is called after every batch of pictures, by one thread at a
// time. Errors: those of the store, the catalog and the extractors; FailedPrecondition for a feature without an
// extractor.
absl::Status WorkChunk(Home& home, const Chunk& chunk, const Extractors& extractors, const std::atomic<bool>& stop,
                       const std::function<void()>& tick, WorkReport& report);

// Records the one image of `chunk` as one that ends its workers, for the chunk's features.
absl::Status GiveUpOn(Home& home, const Chunk& chunk, const Extractors& extractors, WorkReport& report);

// Whether the reason of an image in quarantine is one of GiveUpOn's: the other features can be computed all the same.
bool ConcernsOneFeature(std::string_view reason);

}  // namespace likeness
