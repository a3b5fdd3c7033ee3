// A piece of the fingerprint run's work, as it lies in the queue.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "queue/queue.h"
#include "types/epoch.h"
#include "types/feature_key.h"

namespace likeness {

// The images at the positions [begin, end) of a shard's sorted signatures, for the features that its cells lack. One
// decode of each picture feeds them all.
struct Chunk {
  ShardId shard;
  uint64_t begin = 0;
  uint64_t end = 0;
  std::vector<FeatureKey> features;  // sorted

  uint64_t images() const { return end - begin; }
  friend bool operator==(const Chunk&, const Chunk&) = default;
};

// The task: equal chunks have equal ids, so that two planners publish one task. The payload is a JSON object.
Task TaskOf(const Chunk& chunk);
// Errors: DataLoss when the payload is not one of TaskOf.
absl::StatusOr<Chunk> ChunkOf(const Task& task);

// Two halves, or, of a chunk of one image, one chunk for each of its features: where something in a chunk ends its
// worker, this finds out what. Empty when the chunk cannot be divided further.
std::vector<Chunk> Halves(const Chunk& chunk);

}  // namespace likeness
