#include "pipeline/join.h"

#include <mutex>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/thread_pool.h"
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
  std::mutex mutex;
  absl::Status failure;  // guarded by mutex, as are the report and the progress
  size_t begun = 0;
  ParallelFor(cells.size(), home.config().threads, [&](size_t i) {
    {
      const std::lock_guard lock(mutex);
      if (control.stopped() || !failure.ok()) return;
      control.progress("join", begun++, cells.size());
    }
    absl::Status status;
    std::optional<bool> joined;
    if (cells[i].done) {
      if (cells[i].parts > 0) status = DeleteParts(home, cells[i].feature, cells[i].shard);
    } else if (cells[i].parts == 0) {
      joined = false;
    } else if (const absl::StatusOr<bool> whole = JoinCell(home, cells[i]); whole.ok()) {
      joined = *whole;
    } else {
      status = whole.status();
    }
    const std::lock_guard lock(mutex);
    if (failure.ok()) failure = status;
    if (joined) ++(*joined ? report.joined : report.incomplete);
  });
  LIKENESS_RETURN_IF_ERROR(failure);
  control.progress("join", cells.size(), cells.size());
  return report;
}

}  // namespace likeness
