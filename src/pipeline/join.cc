#include "pipeline/join.h"

#include <string>

#include "base/file.h"
#include "pipeline/coverage.h"
#include "pipeline/parts.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

absl::Status DeleteParts(Home& home, const FeatureKey& feature, const ShardId& shard) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects,
                            ListAll(home.objects(), FeaturePartPrefix(feature, shard)));
  for (const ObjectInfo& object : objects) LIKENESS_RETURN_IF_ERROR(home.objects().Delete(object.key));
  return absl::OkStatus();
}

// Whether the cell is whole now.
absl::StatusOr<bool> JoinCell(Home& home, const Cell& cell) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureShard> parts, OpenParts(home, cell.feature, cell.shard));
  size_t most = 0;
  for (const FeatureShard& part : parts) most += part.size();
  if (parts.empty() || most < cell.images) return false;
  LIKENESS_ASSIGN_OR_RETURN(const std::filesystem::path scratch, home.ScratchFile(cell.feature.type + ".shard"));
  LIKENESS_RETURN_IF_ERROR(MergeFeatureShardsToFile(parts, scratch));
  {
    LIKENESS_ASSIGN_OR_RETURN(const auto mapped, MappedFile::Open(scratch));
    LIKENESS_ASSIGN_OR_RETURN(const FeatureShard joined, FeatureShard::Open(Blob(mapped, mapped->bytes())));
    if (joined.size() != cell.images) {  // Not all there yet: some images are in several parts.
      std::error_code error;
      std::filesystem::remove(scratch, error);
      return false;
    }
  }
  const absl::Status put = home.objects().PutFile(FeatureShardKey(cell.feature, cell.shard), scratch,
                                                  {.if_absent = true, .take_file = true});
  if (!put.ok() && !absl::IsAlreadyExists(put)) return put;
  LIKENESS_RETURN_IF_ERROR(DeleteParts(home, cell.feature, cell.shard));
  return true;
}

}  // namespace

absl::StatusOr<JoinReport> RunJoin(Home& home, const std::vector<FeatureKey>& features, const RunControl& control) {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Cell> cells, ReadCoverage(home, features));
  JoinReport report;
  for (size_t i = 0; i < cells.size() && !control.stopped(); ++i) {
    control.progress("join", i, cells.size());
    if (cells[i].done) {
      if (cells[i].parts > 0) LIKENESS_RETURN_IF_ERROR(DeleteParts(home, cells[i].feature, cells[i].shard));
      continue;
    }
    if (cells[i].parts == 0) {
      ++report.incomplete;
      continue;
    }
    LIKENESS_ASSIGN_OR_RETURN(const bool joined, JoinCell(home, cells[i]));
    ++(joined ? report.joined : report.incomplete);
  }
  control.progress("join", cells.size(), cells.size());
  return report;
}

}  // namespace likeness
