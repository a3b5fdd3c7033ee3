// Job 1: new images become shards of epochs (paper, section 2.2).
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "pipeline/home.h"
#include "store/epoch_list.h"

namespace likeness {

// Puts every image that has no shard yet into one, by the day on which it was added: an epoch's new images are divided
// at random (by their signatures, which are digests) into shards of at most config.shard_images. Then writes the epoch
// list of every shard that has none. Repeating it does no harm. Returns the images that got a shard.
absl::StatusOr<uint64_t> MakeShards(Home& home);

// The epoch list of a shard. Errors: NotFound, DataLoss.
absl::StatusOr<EpochList> ReadEpochList(Home& home, const ShardId& shard);

}  // namespace likeness
