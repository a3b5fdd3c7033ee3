// Job 1: new images become shards of epochs (paper, section 2.2).
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "pipeline/home.h"
#include "store/epoch_list.h"

namespace likeness {

// Puts every image that has no shard yet into one, by the day on which it was added: an epoch's new images are cut, in
// the order of their coming, into even shards of at most config.shard_images. Then writes the epoch list of every shard
// that has none. Repeating it does no harm, nor do two at once. Returns the images that got a shard.
absl::StatusOr<uint64_t> MakeShards(Home& home);

// The epoch list of a shard. Errors: NotFound, DataLoss.
absl::StatusOr<EpochList> ReadEpochList(Home& home, const ShardId& shard);

}  // namespace likeness
