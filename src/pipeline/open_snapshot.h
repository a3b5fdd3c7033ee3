// The current release, opened for reading.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "index/snapshot.h"
#include "index/token_index.h"
#include "object/object_store.h"
#include "pipeline/home.h"
#include "store/release.h"

namespace likeness {

// The segment of one shard with the files beside it, mapped from the store's local copy.
// Errors: NotFound or DataLoss, naming its key.
absl::StatusOr<std::shared_ptr<const Segment>> OpenSegment(ObjectStore& objects, const std::string& generation,
                                                           const ShardId& shard);

// The same, with every byte held to its checksum. A local copy that has spoiled is fetched anew.
absl::StatusOr<std::shared_ptr<const Segment>> OpenVerifiedSegment(ObjectStore& objects, const std::string& generation,
                                                                   const ShardId& shard);

// The token index beside a segment, or null where there is none: it was made without.
// Errors: DataLoss when it is damaged, or not of `segment`'s documents, naming its key.
absl::StatusOr<std::shared_ptr<const TokenIndex>> OpenTokens(ObjectStore& objects, const std::string& generation,
                                                             const ShardId& shard, const Segment& segment,
                                                             const std::shared_ptr<TokenCache>& cache);

// Opens the segments of a release, and their token indexes; they stay mapped as long as the snapshot lives, whatever
// happens to the store. Errors: NotFound or DataLoss when a segment is missing or damaged, naming its key.
absl::StatusOr<std::shared_ptr<const Snapshot>> OpenSnapshot(Home& home, const Release& release);

}  // namespace likeness
