// likeness materialise: job 5 of the fingerprint run alone, the fingerprint files.
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "pipeline/features.h"
#include "pipeline/materialise.h"

namespace likeness {
namespace {

absl::StatusOr<CommandOutput> RunMaterialiseCommand(const CommonFlags& common) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureKey> keys, CurrentFeatures(*home));
  absl::StatusOr<MaterialiseReport> report = absl::InternalError("");
  {
    ProgressBar bar;
    LIKENESS_ASSIGN_OR_RETURN(const auto features, BuildFeatures(*home, keys));
    report = MaterialiseFingerprints(*home, features, bar.Control());
  }
  LIKENESS_RETURN_IF_ERROR(report.status());
  CommandOutput output;
  output.failed = StopFlag();
  output.json = {{"shards", report->shards}, {"images", report->images}};
  output.text = "fingerprints of " + std::to_string(report->images) + " images written, in " +
                std::to_string(report->shards) + " shards\n";
  return output;
}

}  // namespace

void AddMaterialiseCommand(Program& program) {
  program.Add("materialise", "Write the fingerprint files of the shards whose features are all there",
              [&program] { return RunMaterialiseCommand(program.flags); });
}

}  // namespace likeness
