// The queue as a table of leases, in an SQLite file or a PostgreSQL database.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "queue/queue.h"

namespace likeness {

// The machine's time as leases in an SQLite file use it: it goes on while the machine sleeps, never jumps, and is the
// same for all processes until the machine starts anew, which `boot` tells.
struct MachineTime {
  std::string boot;          // differs from one start of the machine to the next
  int64_t milliseconds = 0;  // since then
};
MachineTime Uptime();

// Opens an SQLite file, making it when it is missing: for the processes of one machine.
// A step of the wall clock neither ends nor prolongs a lease; it shows in QueueStats::oldest_seconds and
// done_per_second alone. Leases end when the machine starts anew. `uptime` is for tests.
// Errors: FailedPrecondition when the file was made by a newer version or cannot be opened, those of the catalog.
absl::StatusOr<std::unique_ptr<Queue>> OpenSqliteQueue(const std::filesystem::path& path,
                                                       std::function<MachineTime()> uptime = Uptime);

// Opens the queue in a PostgreSQL database, making its tables (queue_...) when they are missing. `url` and where its
// password is kept: as for the catalog. A call goes on trying for `retry_for` when the server goes away.
// Leases run by the database's clock: when that is set forward, leases end early and tasks are delivered twice, which
// tasks endure; when it is set back, leases last longer by as much.
// Errors, within 5 s: InvalidArgument (url), Unavailable, FailedPrecondition (wrong password, no right to make tables,
// made by a newer version).
absl::StatusOr<std::unique_ptr<Queue>> OpenPostgresQueue(
    const std::string& url, std::chrono::milliseconds retry_for = std::chrono::seconds(20));

}  // namespace likeness
