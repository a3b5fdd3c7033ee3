#include "pipeline/plan.h"

#include <algorithm>
#include <bit>
#include <map>

#include "pipeline/chunk.h"
#include "pipeline/coverage.h"
#include "pipeline/parts.h"
#include "pipeline/shards.h"
#include "pipeline/work.h"
#include "pipeline/young.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

constexpr double kFirstGuess = 0.05;  // seconds of one core for a feature of an image, before anything was measured
constexpr uint64_t kLeastChunk = 64;
constexpr size_t kPublishedAtOnce = 1000;

// Positions of the shard that lack any of the features.
absl::StatusOr<std::vector<bool>> MissingAny(Home& home, const ShardId& shard, uint64_t images,
                                             const std::vector<FeatureKey>& features) {
  std::vector<bool> any(images, false);
  bool parts = false;
  for (const FeatureKey& feature : features) {
    LIKENESS_ASSIGN_OR_RETURN(const auto objects, home.objects().List(FeaturePartPrefix(feature, shard), "", 1));
    parts = parts || !objects.empty();
  }
  if (!parts) {  // The usual case: nobody has begun, and the list need not be read.
    any.flip();
    return any;
  }
  LIKENESS_ASSIGN_OR_RETURN(const EpochList list, ReadEpochList(home, shard));
  any.resize(list.signatures().size());
  for (const FeatureKey& feature : features) {
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<bool> missing, MissingOf(home, feature, shard, list.signatures()));
    for (size_t i = 0; i < missing.size(); ++i) {
      if (missing[i]) any[i] = true;
    }
  }
  return any;
}

}  // namespace

absl::StatusOr<uint64_t> ChunkImages(Home& home, const std::vector<FeatureKey>& features) {
  if (home.config().chunk_images) return *home.config().chunk_images;
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureRate> rates, home.catalog().Rates());
  const auto seconds_of = [&](const FeatureKey& feature) {
    for (const FeatureRate& rate : rates) {
      if (rate.feature == feature && rate.images > 0) return rate.seconds / static_cast<double>(rate.images);
    }
    return kFirstGuess;
  };
  double seconds = seconds_of(kDecodeRate);
  for (const FeatureKey& feature : features) seconds += seconds_of(feature);
  const auto threads = static_cast<double>(std::max<size_t>(1, home.config().threads));
  const double images = home.config().chunk_seconds * threads / std::max(seconds, 1e-6);
  const auto whole = static_cast<uint64_t>(std::clamp(images, double{kLeastChunk}, 131072.0));
  return std::bit_floor(whole);
}

absl::StatusOr<PlanReport> RunPlan(Home& home, const std::vector<FeatureKey>& features, const RunControl& control) {
  PlanReport report;
  LIKENESS_ASSIGN_OR_RETURN(report.new_images, MakeShards(home));
  LIKENESS_ASSIGN_OR_RETURN(report.adopted, AdoptYoung(home, features));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Cell> cells, ReadCoverage(home, features));
  struct Shard {
    uint64_t images = 0;
    std::vector<FeatureKey> features;
  };
  std::map<ShardId, Shard> open;
  for (const Cell& cell : cells) {
    if (cell.done) continue;
    ++report.cells;
    open[cell.shard].images = cell.images;
    open[cell.shard].features.push_back(cell.feature);
  }
  LIKENESS_ASSIGN_OR_RETURN(const uint64_t size, ChunkImages(home, features));
  std::vector<Task> tasks;
  const auto publish = [&]() -> absl::Status {
    LIKENESS_ASSIGN_OR_RETURN(const uint64_t published, home.queue().Publish(tasks));
    report.published += published;
    tasks.clear();
    return absl::OkStatus();
  };
  size_t done = 0;
  for (auto& [id, shard] : open) {
    if (control.stopped()) break;
    control.progress("plan", done++, open.size());
    std::ranges::sort(shard.features);
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<bool> missing, MissingAny(home, id, shard.images, shard.features));
    // The grid does not depend on what is missing, so that a later plan finds the chunks of an earlier one.
    for (uint64_t begin = 0; begin < missing.size(); begin += size) {
      const uint64_t end = std::min<uint64_t>(begin + size, missing.size());
      const auto lacking = static_cast<uint64_t>(
          std::count(missing.begin() + static_cast<int64_t>(begin), missing.begin() + static_cast<int64_t>(end), true));
      if (lacking == 0) continue;
      report.images += lacking;
      ++report.chunks;
      tasks.push_back(TaskOf({id, begin, end, shard.features}));
      if (tasks.size() >= kPublishedAtOnce) LIKENESS_RETURN_IF_ERROR(publish());
    }
  }
  LIKENESS_RETURN_IF_ERROR(publish());
  control.progress("plan", open.size(), open.size());
  return report;
}

}  // namespace likeness
