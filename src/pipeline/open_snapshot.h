// The current release, opened for reading.
#pragma once

#include <memory>

#include "base/status.h"
#include "index/snapshot.h"
#include "pipeline/home.h"
#include "store/release.h"

namespace likeness {

// Opens the segments of a release; they stay mapped as long as the snapshot lives, whatever happens to the store.
// Errors: NotFound or DataLoss when a segment is missing or damaged, naming its key.
absl::StatusOr<std::shared_ptr<const Snapshot>> OpenSnapshot(Home& home, const Release& release);

}  // namespace likeness
