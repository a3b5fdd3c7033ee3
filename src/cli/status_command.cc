// likeness status: what there is, what is missing, what cannot be used and why.
#include <cstdio>
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
  uint64_t running = 0, missing = 0, parts = 0;
  for (const Cell& cell : status.cells) {
    if (cell.done) continue;
    ++(status.running(cell) ? running : missing);
    parts += cell.parts;
  }
  if (running + missing > 0) {
    text += std::to_string(running) + " cells are worked on with " + std::to_string(parts) + " parts so far, " +
            std::to_string(missing) + " are missing; " + std::to_string(status.queue.waiting) + " chunks wait\n";
  }
  for (const TaskInFlight& task : status.tasks) {
    text += "  chunk " + task.id + ": " + task.worker + ", attempt " + std::to_string(task.attempt) + ", lease " +
            std::to_string(static_cast<int64_t>(task.seconds_left)) + " s\n";
  }
  for (const WorkerBeat& worker : status.workers) {
    char rate[32];
    std::snprintf(rate, sizeof(rate), "%.1f", worker.images_per_second);
    text += "  worker " + worker.name + ": " + std::to_string(worker.images) + " images, " + rate + " images/s\n";
  }
  text += status.release
              ? "release " + status.release->name + ": " + std::to_string(status.release->images()) + " images\n"
              : "no release yet\n";
  if (status.token_files) {
    text += "visual words: " + std::to_string(*status.token_files) + " of " +
            std::to_string(status.release->shards.size()) + " shards have an index of them" +
            (*status.token_files < status.release->shards.size() ? "; `likeness index` makes the rest\n" : "\n");
  }
  for (const Quarantined& one : status.quarantined) {
    text += "  " + one.source + ": " + one.reason;
    if (one.attempts > 1) text += " (" + std::to_string(one.attempts) + " attempts)";
    text += "\n";
  }
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
