// likeness status: what there is, what is missing, what cannot be used and why.
#include <map>

#include "cli/command.h"
#include "pipeline/collection_status.h"
#include "pipeline/home.h"
#include "serve/api_json.h"

namespace likeness {
namespace {

std::string Text(const CollectionStatus& status) {
  std::string text = std::to_string(status.counts.images) + " images, " + std::to_string(status.counts.pins) +
                     " pins, " + std::to_string(status.counts.quarantined) + " cannot be used\n";
  struct Progress {
    uint64_t done = 0, images = 0;
  };
  std::map<FeatureKey, Progress> features;
  for (const Cell& cell : status.cells) {
    Progress& progress = features[cell.feature];
    progress.images += cell.images;
    if (cell.done) progress.done += cell.images;
  }
  for (const auto& [feature, progress] : features) {
    text += feature.ToString() + ": " + std::to_string(progress.done) + " of " + std::to_string(progress.images) +
            " done\n";
  }
  text += status.release
              ? "release " + status.release->name + ": " + std::to_string(status.release->images()) + " images\n"
              : "no release yet\n";
  for (const Quarantined& one : status.quarantined) text += "  " + one.source + ": " + one.reason + "\n";
  return text;
}

absl::StatusOr<CommandOutput> RunStatus(const CommonFlags& common) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const CollectionStatus status, ReadCollectionStatus(*home));
  return CommandOutput{StatusJson(status), Text(status)};
}

}  // namespace

void AddStatusCommand(Program& program) {
  program.Add("status", "Show images, coverage, the release, and what cannot be used and why",
              [&program] { return RunStatus(program.flags); });
}

}  // namespace likeness
