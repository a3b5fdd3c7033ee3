// likeness worker: job 3 of the fingerprint run alone, for as long as it is let.
#include <cstdio>

#include "base/clock.h"
#include "base/free_memory.h"
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "cli/work_json.h"
#include "pipeline/features.h"
#include "pipeline/work.h"
#include "serve/api_json.h"

namespace likeness {
namespace {

struct WorkerFlags {
  std::vector<std::string> models;
  bool until_idle = false;
  bool report_progress = false;  // a line of JSON now and then, for whoever started the worker
  uint64_t total = 0;
};

// Progress as lines on standard output, at most ten a second.
class ProgressLines {
 public:
  void Show(uint64_t done) {
    if (watch_.Milliseconds() < 100) return;
    watch_.Restart();
    std::printf("{\"done\":%llu}\n", static_cast<unsigned long long>(done));
    std::fflush(stdout);
  }

 private:
  Stopwatch watch_;
};

absl::StatusOr<CommandOutput> RunWorkerCommand(const CommonFlags& common, const WorkerFlags& flags) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LimitHeaps(home->config().threads);
  if (!flags.models.empty()) home->mutable_config().models = flags.models;
  LIKENESS_ASSIGN_OR_RETURN(const Extractors extractors, CurrentExtractors(*home));
  WorkerOptions options;
  options.name = WorkerName();
  options.until_idle = flags.until_idle;
  options.total = flags.total;
  WorkReport report;
  absl::Status worked;
  if (flags.report_progress) {
    ProgressLines lines;
    RunControl control;
    control.stop = &StopFlag();
    control.progress = [&lines](std::string_view, uint64_t done, uint64_t) { lines.Show(done); };
    worked = RunWorker(*home, extractors, options, control, report);
  } else {
    ProgressBar bar;
    worked = RunWorker(*home, extractors, options, bar.Control(), report);
  }
  // Whoever started the worker says it.
  if (flags.report_progress && !worked.ok()) return CommandOutput{ErrorJson(worked), "", true};
  LIKENESS_RETURN_IF_ERROR(worked);
  CommandOutput output;  // A worker that is told to stop has done what it should.
  output.json = WorkJson(report);
  output.text = std::to_string(report.computed) + " features of " + std::to_string(report.decoded) +
                " pictures computed, in " + std::to_string(report.chunks) + " chunks\n";
  return output;
}

}  // namespace

void AddWorkerCommand(Program& program) {
  auto flags = std::make_shared<WorkerFlags>();
  CLI::App* command = program.Add("worker", "Compute chunks of the queue until it is told to stop",
                                  [&program, flags] { return RunWorkerCommand(program.flags, *flags); });
  command->add_option("--model", flags->models,
                      "Model of the deep feature, instead of the configured ones; repeatable");
  command->add_flag("--until-idle", flags->until_idle, "End when the queue is empty");
  command->add_flag("--report-progress", flags->report_progress, "Print progress as lines of JSON");
  command->add_option("--total", flags->total, "Pictures that there are to do, for the progress");
}

}  // namespace likeness
