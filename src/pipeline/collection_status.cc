#include "pipeline/collection_status.h"

#include <algorithm>

#include "pipeline/features.h"
#include "pipeline/plan.h"
#include "pipeline/token_files.h"

namespace likeness {

bool CollectionStatus::running(const Cell& cell) const {
  if (cell.done) return false;
  const std::string shard = "/" + cell.shard.ToString() + "/";
  return cell.parts > 0 || std::ranges::any_of(tasks, [&](const TaskInFlight& task) {
           return task.id.find(shard) != std::string::npos;  // as TaskOf names it
         });
}

absl::StatusOr<CollectionStatus> ReadCollectionStatus(Home& home) {
  CollectionStatus status;
  LIKENESS_ASSIGN_OR_RETURN(status.counts, home.catalog().Counts());
  LIKENESS_ASSIGN_OR_RETURN(status.quarantined, home.catalog().Quarantine(kMaxQuarantined));
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home.objects()));
  if (current) {
    LIKENESS_ASSIGN_OR_RETURN(status.release, ReadRelease(home.objects(), current->name));
    LIKENESS_ASSIGN_OR_RETURN(status.token_files, CountTokenFiles(home, *status.release));
  }
  std::vector<FeatureKey> features;
  if (const auto configured = CurrentFeatures(home); configured.ok()) features = *configured;
  if (status.release) {
    for (const Release::Feature& feature : status.release->features) {
      if (std::ranges::find(features, feature.key) == features.end()) features.push_back(feature.key);
    }
  }
  LIKENESS_ASSIGN_OR_RETURN(status.cells, ReadCoverage(home, features));
  LIKENESS_ASSIGN_OR_RETURN(const uint64_t chunk, ChunkImages(home, features));
  status.part_images = std::min<uint64_t>(home.config().part_images, chunk);
  LIKENESS_ASSIGN_OR_RETURN(status.queue, home.queue().Stats());
  LIKENESS_ASSIGN_OR_RETURN(status.tasks, home.queue().InFlight(kMaxTasksShown));
  LIKENESS_ASSIGN_OR_RETURN(status.workers, home.catalog().Workers(kWorkerAlive));
  return status;
}

}  // namespace likeness
