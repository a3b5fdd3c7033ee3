// likeness add: takes pictures into the collection.
#include <fstream>
#include <iostream>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "pipeline/add.h"

namespace likeness {
namespace {

struct AddFlags {
  std::string source;
  bool copy = false;
};

absl::StatusOr<AddReport> AddSource(Home& home, const AddFlags& flags, const RunControl& control) {
  const AddOptions options{flags.copy, home.config().threads};
  if (flags.source == "-") return AddLines(home, std::cin, ".", options, control);
  std::error_code error;
  if (std::filesystem::is_directory(flags.source, error)) return AddFolder(home, flags.source, options, control);
  if (!std::filesystem::exists(flags.source, error)) return absl::NotFoundError("there is no " + flags.source);
  std::ifstream lines(flags.source);
  if (!lines) return absl::FailedPreconditionError("cannot read " + flags.source);
  absl::StatusOr<AddReport> report =
      AddLines(home, lines, std::filesystem::path(flags.source).parent_path(), options, control);
  if (!report.ok()) return Annotate(report.status(), flags.source);
  return report;
}

absl::StatusOr<CommandOutput> RunAdd(const CommonFlags& common, const AddFlags& flags) {
  const Stopwatch watch;
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/true));
  absl::StatusOr<AddReport> report = absl::InternalError("");
  {
    ProgressBar bar;
    report = AddSource(*home, flags, bar.Control());
  }
  LIKENESS_RETURN_IF_ERROR(report.status());
  LIKENESS_ASSIGN_OR_RETURN(const CatalogCounts counts, home->catalog().Counts());
  CommandOutput output;
  output.failed = StopFlag();
  output.json = {{"files", report->files},
                 {"read", report->read},
                 {"new_images", report->images},
                 {"new_pins", report->pins},
                 {"new_quarantined", report->quarantined},
                 {"images", counts.images},
                 {"pins", counts.pins},
                 {"quarantined", counts.quarantined},
                 {"ms", watch.Milliseconds()}};
  output.text = std::to_string(report->files) + " files looked at, " + std::to_string(report->read) +
                " read: " + std::to_string(report->images) + " new images, " + std::to_string(report->quarantined) +
                " cannot be used\n" + (StopFlag() ? "stopped; everything so far is kept\n" : "");
  return output;
}

}  // namespace

void AddAddCommand(Program& program) {
  auto flags = std::make_shared<AddFlags>();
  CLI::App* command = program.Add("add", "Add the pictures of a folder, of a pins.jsonl, or of lines on standard input",
                                  [&program, flags] { return RunAdd(program.flags, *flags); });
  command->add_option("source", flags->source, "A folder, a file of lines (pins as JSON, or paths), or - for stdin")
      ->required();
  command->add_flag("--copy", flags->copy, "Keep a copy of each picture instead of the place where it lies");
}

}  // namespace likeness
