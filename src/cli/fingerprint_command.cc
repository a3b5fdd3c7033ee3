// likeness fingerprint: computes every feature that is missing.
#include "base/clock.h"
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "cli/worker_process.h"
#include "pipeline/fingerprint.h"

namespace likeness {
namespace {

struct FingerprintFlags {
  std::vector<std::string> models;
};

absl::StatusOr<CommandOutput> RunFingerprintCommand(const CommonFlags& common, const FingerprintFlags& flags) {
  const Stopwatch watch;
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  if (!flags.models.empty()) home->mutable_config().models = flags.models;
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<FeatureKey> keys, CurrentFeatures(*home));
  std::vector<std::string> arguments;
  for (const std::string& model : flags.models) arguments.insert(arguments.end(), {"--model", model});
  const auto work = [&](const PlanReport& plan, const RunControl& control, WorkReport& report) {
    return RunWorkerProcess(home->path(), arguments, plan, control, report);
  };
  absl::StatusOr<FingerprintReport> report = absl::InternalError("");
  {
    ProgressBar bar;
    report = RunFingerprint(*home, keys, work, bar.Control());
  }
  LIKENESS_RETURN_IF_ERROR(report.status());
  CommandOutput output;
  output.failed = StopFlag();
  nlohmann::ordered_json features = nlohmann::ordered_json::array();
  for (const FeatureKey& key : report->features) features.push_back(key.ToString());
  output.json = {{"new_images", report->plan.new_images},
                 {"decoded", report->work.decoded},
                 {"computed", report->work.computed},
                 {"quarantined", report->work.quarantined},
                 {"materialised", report->materialised.images},
                 {"features", features},
                 {"ms", watch.Milliseconds()}};
  output.text = std::to_string(report->work.computed) + " features computed, " +
                std::to_string(report->work.quarantined) + " pictures cannot be used\n" +
                (StopFlag() ? "stopped; everything so far is kept\n" : "");
  return output;
}

}  // namespace

void AddFingerprintCommand(Program& program) {
  auto flags = std::make_shared<FingerprintFlags>();
  CLI::App* command = program.Add("fingerprint", "Compute the features that are missing, each once for ever",
                                  [&program, flags] { return RunFingerprintCommand(program.flags, *flags); });
  command->add_option("--model", flags->models,
                      "Model of the deep feature, instead of the configured ones; repeatable");
}

}  // namespace likeness
