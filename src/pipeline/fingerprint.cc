#include "pipeline/fingerprint.h"

#include "pipeline/coverage.h"
#include "pipeline/shards.h"

namespace likeness {

absl::StatusOr<FingerprintReport> RunFingerprint(Home& home, const Extractors& extractors, const RunControl& control) {
  FingerprintReport report;
  for (const auto& extractor : extractors) report.features.push_back(extractor->key());
  LIKENESS_ASSIGN_OR_RETURN(report.new_images, MakeShards(home));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Cell> cells, ReadCoverage(home, report.features));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> shards, home.catalog().Shards());
  if (shards.empty()) return report;

  uint64_t done = 0, total = 0;
  std::vector<bool> missing(shards.size(), false);
  for (size_t i = 0; i < cells.size(); ++i) {
    if (!cells[i].done) missing[i % shards.size()] = true;  // Cells come feature by feature, each with every shard.
  }
  for (size_t i = 0; i < shards.size(); ++i) total += missing[i] ? shards[i].images : 0;
  for (size_t i = 0; i < shards.size() && !control.stopped(); ++i) {
    if (!missing[i]) continue;
    LIKENESS_RETURN_IF_ERROR(WorkShard(home, shards[i].id, extractors, control, done, total, report.work));
    done += shards[i].images;
    control.progress("fingerprint", done, total);
  }
  if (control.stopped()) return report;
  LIKENESS_ASSIGN_OR_RETURN(const auto features, BuildFeatures(home, report.features));
  LIKENESS_ASSIGN_OR_RETURN(report.materialised, MaterialiseFingerprints(home, features, control));
  return report;
}

}  // namespace likeness
