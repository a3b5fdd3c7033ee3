// likeness plan: jobs 1 and 2 of the fingerprint run alone.
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "pipeline/features.h"
#include "pipeline/plan.h"

namespace likeness {
namespace {

absl::StatusOr<CommandOutput> RunPlanCommand(const CommonFlags& common) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureKey> features, CurrentFeatures(*home));
  absl::StatusOr<PlanReport> report = absl::InternalError("");
  {
    ProgressBar bar;
    report = RunPlan(*home, features, bar.Control());
  }
  LIKENESS_RETURN_IF_ERROR(report.status());
  CommandOutput output;
  output.failed = StopFlag();
  output.json = {{"new_images", report->new_images},
                 {"cells", report->cells},
                 {"images", report->images},
                 {"chunks", report->chunks},
                 {"published", report->published}};
  output.text = std::to_string(report->images) + " images lack features, in " + std::to_string(report->chunks) +
                " chunks, of which " + std::to_string(report->published) + " are new in the queue\n";
  return output;
}

}  // namespace

void AddPlanCommand(Program& program) {
  program.Add("plan", "Put what is missing into the queue, for workers to compute",
              [&program] { return RunPlanCommand(program.flags); });
}

}  // namespace likeness
