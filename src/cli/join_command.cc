// likeness join: job 4 of the fingerprint run alone.
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "pipeline/features.h"
#include "pipeline/join.h"

namespace likeness {
namespace {

absl::StatusOr<CommandOutput> RunJoinCommand(const CommonFlags& common) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureKey> features, CurrentFeatures(*home));
  absl::StatusOr<JoinReport> report = absl::InternalError("");
  {
    ProgressBar bar;
    report = RunJoin(*home, features, bar.Control());
  }
  LIKENESS_RETURN_IF_ERROR(report.status());
  CommandOutput output;
  output.failed = StopFlag();
  output.json = {{"joined", report->joined}, {"incomplete", report->incomplete}};
  output.text =
      std::to_string(report->joined) + " cells joined, " + std::to_string(report->incomplete) + " still lack images\n";
  return output;
}

}  // namespace

void AddJoinCommand(Program& program) {
  program.Add("join", "Join what workers have computed into the shards of the feature store",
              [&program] { return RunJoinCommand(program.flags); });
}

}  // namespace likeness
