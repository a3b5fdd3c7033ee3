// What a cell (feature x shard) has before it is whole: its parts, each put by a worker, joined by job 4.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "pipeline/home.h"
#include "store/feature_shard.h"
#include "types/epoch.h"
#include "types/feature_key.h"

namespace likeness {

// A part is numbered by a position among those that it was computed for: two chunks never want the same number.
struct PartRange {
  uint64_t begin = 0;
  uint64_t end = UINT64_MAX;
};

// The parts of a cell whose numbers lie in the range, in no order. A damaged one is deleted, so that what it held is
// computed again; one that another process joins meanwhile is left out. Errors: those of the store.
absl::StatusOr<std::vector<FeatureShard>> OpenParts(Home& home, const FeatureKey& feature, const ShardId& shard,
                                                    const PartRange& range = {});

// Puts what `writer` holds as a part of its cell, unless a part within the range holds all of it already.
// REQUIRES: the writer is not empty; the range is the chunk's that it was computed for
absl::Status PutPart(Home& home, FeatureShardWriter& writer, const FeatureShardInfo& info, const PartRange& range);

// For each position of the shard, whether the cell lacks it. `signatures`: the shard's.
absl::StatusOr<std::vector<bool>> MissingOf(Home& home, const FeatureKey& feature, const ShardId& shard,
                                            std::span<const Signature> signatures, const PartRange& range = {});

}  // namespace likeness
