// What there is in a home and what is missing: the same facts for the command line, the API and the page.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"
#include "catalog/catalog.h"
#include "pipeline/coverage.h"
#include "pipeline/home.h"
#include "queue/queue.h"
#include "store/release.h"

namespace likeness {

// Pictures that a server has taken in and searches beside its release (docs/online.md).
struct YoungPictures {
  uint64_t images = 0;    // that are found
  uint64_t segments = 0;  // in which they lie
};

struct CollectionStatus {
  CatalogCounts counts;
  std::vector<Quarantined> quarantined;  // at most kMaxQuarantined, by source
  std::vector<Cell> cells;               // of the current features, and of others that the release serves
  std::optional<Release> release;        // that is current; none before the first
  std::optional<uint64_t> token_files;   // of its shards; nothing where it has no feature for them
  std::optional<YoungPictures> young;    // of the server that is asked; nothing where none is
  uint64_t part_images = 0;              // images in a part of a cell, at most
  QueueStats queue;
  std::vector<TaskInFlight> tasks;  // at most kMaxTasksShown, oldest first
  std::vector<WorkerBeat> workers;  // that were seen within kWorkerAlive, by name

  // Some of the cell is computed, or a worker is at its shard.
  bool running(const Cell& cell) const;
};

inline constexpr uint64_t kMaxTasksShown = 1000;
inline constexpr std::chrono::seconds kWorkerAlive{30};

inline constexpr uint64_t kMaxQuarantined = 10'000;

// Errors: those of the catalog, the store and the queue. A configured model that is not there only leaves its cells
// out.
absl::StatusOr<CollectionStatus> ReadCollectionStatus(Home& home);

}  // namespace likeness
