// Brings an older catalog up to date.
#pragma once

#include <soci/soci.h>

#include "base/status.h"
#include "catalog/schema.h"

namespace likeness {

// Version 1 (SQLite alone): hexadecimal signatures, a path with each image and again with each source, the shard in
// each image's row. Makes the tables of today from it, within the caller's transaction: shards, epochs, places, pins
// and quarantine stay as they are. Errors: DataLoss when a row makes no sense.
absl::Status MigrateVersion1(soci::session& session, Engine engine);

// Version 2: no image can be removed. Adds the tables for that.
void MigrateVersion2(soci::session& session, Engine engine);

}  // namespace likeness
