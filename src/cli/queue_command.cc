// likeness queue: how much work waits, how fast it goes, and how many workers it takes to be done in time.
#include <algorithm>
#include <cmath>
#include <set>

#include "cli/command.h"
#include "pipeline/home.h"
#include "serve/api_json.h"

namespace likeness {
namespace {

constexpr uint64_t kShown = 1000;  // tasks in flight that are listed

struct QueueFlags {
  double within = 86'400;  // seconds
};

// Workers of the speed of those that work now; nothing while no speed is known.
std::optional<uint64_t> WorkersNeeded(const QueueStats& stats, size_t workers, double within) {
  const auto left = static_cast<double>(stats.waiting + stats.leased);
  if (left == 0) return 0;
  if (workers == 0 || stats.done_per_second <= 0) return std::nullopt;
  const double one = stats.done_per_second / static_cast<double>(workers);
  return static_cast<uint64_t>(std::ceil(left / (one * within)));
}

absl::StatusOr<CommandOutput> RunQueueCommand(const CommonFlags& common, const QueueFlags& flags) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const QueueStats stats, home->queue().Stats());
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<TaskInFlight> flying, home->queue().InFlight(kShown));
  std::set<std::string> workers;
  for (const TaskInFlight& task : flying) workers.insert(task.worker);
  const std::optional<uint64_t> needed = WorkersNeeded(stats, workers.size(), flags.within);
  CommandOutput output;
  output.json = {{"depth", stats.waiting + stats.leased},
                 {"waiting", stats.waiting},
                 {"leased", stats.leased},
                 {"oldest_seconds", nullptr},
                 {"chunks_per_second", stats.done_per_second},
                 {"workers", workers.size()},
                 {"within_seconds", flags.within},
                 {"workers_needed", nullptr},
                 {"in_flight", TasksJson(flying)}};
  if (stats.oldest_seconds) output.json["oldest_seconds"] = *stats.oldest_seconds;
  if (needed) output.json["workers_needed"] = *needed;
  output.text = std::to_string(stats.waiting) + " chunks wait, " + std::to_string(stats.leased) + " are worked on by " +
                std::to_string(workers.size()) + " workers";
  if (needed) {
    output.text += "; " + std::to_string(*needed) + " workers are needed to be done within " +
                   std::to_string(static_cast<int64_t>(flags.within)) + " s";
  }
  output.text += "\n";
  return output;
}

}  // namespace

void AddQueueCommand(Program& program) {
  auto flags = std::make_shared<QueueFlags>();
  CLI::App* command = program.Add("queue", "Show how much work waits and how many workers it takes to be done in time",
                                  [&program, flags] { return RunQueueCommand(program.flags, *flags); });
  command->add_option("--within", flags->within, "Time in which the work should be done: seconds, or 90m, 24h, 7d")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}))
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

}  // namespace likeness
