// What there is in a home and what is missing: the same facts for the command line, the API and the page.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"
#include "catalog/catalog.h"
#include "pipeline/coverage.h"
#include "pipeline/home.h"
#include "store/release.h"

namespace likeness {

struct CollectionStatus {
  CatalogCounts counts;
  std::vector<Quarantined> quarantined;  // at most kMaxQuarantined, by source
  std::vector<Cell> cells;               // of the current features, and of others that the release serves
  std::optional<Release> release;        // that is current; none before the first
};

inline constexpr uint64_t kMaxQuarantined = 10'000;

// Errors: those of the catalog and the store. A configured model that is not there only leaves its cells out.
absl::StatusOr<CollectionStatus> ReadCollectionStatus(Home& home);

}  // namespace likeness
