// likeness index: builds the index release and makes it current.
#include "base/clock.h"
#include "base/file.h"
#include "cli/board_set.h"
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "pipeline/materialise.h"
#include "rank/floor.h"

namespace likeness {
namespace {

struct IndexFlags {
  std::vector<std::string> models;
};

constexpr uint64_t kLargestFloor = 1 << 20;  // bytes

// What people pinned to boards can say how sure a hit is, where it was not asked yet; else nothing.
absl::StatusOr<std::string> CalibrationHint(Home& home, const Release& release) {
  const absl::StatusOr<std::string> text = ReadFile(home.path() / "ranking" / "floor.json", kLargestFloor);
  if (text.ok()) {
    const absl::StatusOr<FloorModel> own = FloorModel::Parse(*text);
    for (const Release::Feature& feature : release.features) {
      if (own.ok() && own->parameters().feature == feature.key.type) return "";
    }
  }
  LIKENESS_ASSIGN_OR_RETURN(const size_t boards, LargeBoards(home));
  if (boards < 2) return "";
  return "how sure a hit is, your " + std::to_string(boards) + " larger boards can teach: run `likeness train floor`\n";
}

absl::StatusOr<CommandOutput> RunIndex(const CommonFlags& common, const IndexFlags& flags) {
  const Stopwatch watch;
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  if (!flags.models.empty()) home->mutable_config().models = flags.models;
  absl::StatusOr<std::optional<IndexReport>> report = absl::InternalError("");
  {
    ProgressBar bar;
    report = BuildCurrentIndex(*home, bar.Control());
  }
  LIKENESS_RETURN_IF_ERROR(report.status());
  CommandOutput output;
  if (!*report) {
    output.failed = true;
    output.json = {{"stopped", true}};
    output.text = "stopped; everything so far is kept\n";
    return output;
  }
  const Release& release = (*report)->release;
  output.json = {{"release", release.name},         {"images", release.images()},
                 {"shards", release.shards.size()}, {"built", (*report)->built.images},
                 {"switched", (*report)->switched}, {"token_files", (*report)->token_files},
                 {"ms", watch.Milliseconds()}};
  output.text = "release " + release.name + ": " + std::to_string(release.images()) + " images" +
                ((*report)->switched ? "\n" : ", as before\n");
  if (!common.json) {
    LIKENESS_ASSIGN_OR_RETURN(const std::string hint, CalibrationHint(*home, release));
    output.text += hint;
  }
  return output;
}

}  // namespace

void AddIndexCommand(Program& program) {
  auto flags = std::make_shared<IndexFlags>();
  CLI::App* command = program.Add("index", "Build the index from the fingerprints and let it answer queries",
                                  [&program, flags] { return RunIndex(program.flags, *flags); });
  command->add_option("--model", flags->models,
                      "Model of the deep feature, instead of the configured ones; repeatable");
}

}  // namespace likeness
