#include "pipeline/fingerprint.h"

namespace likeness {
namespace {

// A round may leave something: a part was damaged, a worker vanished, pictures came in meanwhile.
constexpr int kRounds = 5;

}  // namespace

absl::StatusOr<FingerprintReport> RunFingerprint(Home& home, const std::vector<FeatureKey>& features,
                                                 const WorkFunction& work, const RunControl& control) {
  FingerprintReport report;
  report.features = features;
  for (int round = 0;; ++round) {
    LIKENESS_ASSIGN_OR_RETURN(const PlanReport plan, RunPlan(home, features, control));
    if (round == 0) report.plan = plan;
    if (control.stopped()) return report;
    if (plan.cells == 0) break;
    if (round == kRounds) {
      return absl::InternalError(std::to_string(plan.images) + " images still lack features after " +
                                 std::to_string(kRounds) + " rounds of work: `likeness status` shows which");
    }
    LIKENESS_RETURN_IF_ERROR(work(plan, control, report.work));
    if (control.stopped()) return report;
    LIKENESS_ASSIGN_OR_RETURN(const JoinReport joined, RunJoin(home, features, control));
    report.join.joined += joined.joined;
    report.join.incomplete = joined.incomplete;
    if (control.stopped()) return report;
  }
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ShardRecord> shards, home.catalog().Shards());
  if (shards.empty()) return report;
  LIKENESS_ASSIGN_OR_RETURN(const auto built, BuildFeatures(home, features));
  LIKENESS_ASSIGN_OR_RETURN(report.materialised, MaterialiseFingerprints(home, built, control));
  return report;
}

absl::StatusOr<FingerprintReport> RunFingerprint(Home& home, const Extractors& extractors, const RunControl& control) {
  const auto work = [&](const PlanReport& plan, const RunControl& inner, WorkReport& report) {
    WorkerOptions options;
    options.name = WorkerName();
    options.until_idle = true;
    options.total = plan.images;
    return RunWorker(home, extractors, options, inner, report);
  };
  return RunFingerprint(home, KeysOf(extractors), work, control);
}

}  // namespace likeness
