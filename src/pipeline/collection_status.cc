#include "pipeline/collection_status.h"

#include <algorithm>

#include "pipeline/features.h"

namespace likeness {

absl::StatusOr<CollectionStatus> ReadCollectionStatus(Home& home) {
  CollectionStatus status;
  LIKENESS_ASSIGN_OR_RETURN(status.counts, home.catalog().Counts());
  LIKENESS_ASSIGN_OR_RETURN(status.quarantined, home.catalog().Quarantine(kMaxQuarantined));
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home.objects()));
  if (current) {
    LIKENESS_ASSIGN_OR_RETURN(status.release, ReadRelease(home.objects(), current->name));
  }
  std::vector<FeatureKey> features;
  if (const auto configured = CurrentFeatures(home); configured.ok()) features = *configured;
  if (status.release) {
    for (const Release::Feature& feature : status.release->features) {
      if (std::ranges::find(features, feature.key) == features.end()) features.push_back(feature.key);
    }
  }
  LIKENESS_ASSIGN_OR_RETURN(status.cells, ReadCoverage(home, features));
  return status;
}

}  // namespace likeness
