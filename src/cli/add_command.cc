// likeness add: takes pictures into the collection.
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/progress_bar.h"
#include "image/decode.h"
#include "pipeline/add.h"

namespace likeness {
namespace {

struct AddFlags {
  std::vector<std::string> sources;
  bool copy = false;
};

constexpr size_t kSniffed = 4096;  // bytes of a file that tell a list from a picture: text has no NUL

// A file is a list of pins or paths, or a picture itself.
absl::StatusOr<AddReport> AddFile(Home& home, const std::string& source, const AddOptions& options,
                                  const RunControl& control) {
  std::ifstream file(source, std::ios::binary);
  if (!file) return absl::FailedPreconditionError("cannot read " + source);
  std::string head(kSniffed, '\0');
  file.read(head.data(), kSniffed);
  head.resize(static_cast<size_t>(file.gcount()));
  const absl::StatusOr<ImageHeader> header = ReadImageHeader(AsBytes(head));
  const bool picture = header.ok() || absl::IsDataLoss(header.status()) || absl::IsOutOfRange(header.status());
  if (picture && !head.empty()) {
    std::istringstream path(std::filesystem::absolute(source).string());
    return AddLines(home, path, ".", options, control);
  }
  if (head.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(source + " is neither a folder, nor a picture, nor a list of pins or paths");
  }
  file.clear();
  file.seekg(0);
  absl::StatusOr<AddReport> report =
      AddLines(home, file, std::filesystem::path(source).parent_path(), options, control);
  if (!report.ok()) return Annotate(report.status(), source);
  return report;
}

absl::StatusOr<AddReport> AddSource(Home& home, const std::string& source, const AddOptions& options,
                                    const RunControl& control) {
  if (source == "-") return AddLines(home, std::cin, ".", options, control);
  std::error_code error;
  if (std::filesystem::is_directory(source, error)) return AddFolder(home, source, options, control);
  if (!std::filesystem::exists(source, error)) return absl::NotFoundError("there is no " + source);
  return AddFile(home, source, options, control);
}

absl::StatusOr<CommandOutput> RunAdd(const CommonFlags& common, const AddFlags& flags) {
  const Stopwatch watch;
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/true));
  AddReport all;
  {
    ProgressBar bar;
    const RunControl control = bar.Control();
    for (const std::string& source : flags.sources) {
      if (control.stopped()) break;
      LIKENESS_ASSIGN_OR_RETURN(const AddReport report,
                                AddSource(*home, source, {flags.copy, home->config().threads}, control));
      all.files += report.files;
      all.read += report.read;
      all.images += report.images;
      all.pins += report.pins;
      all.quarantined += report.quarantined;
    }
  }
  LIKENESS_ASSIGN_OR_RETURN(const CatalogCounts counts, home->catalog().Counts());
  CommandOutput output;
  output.failed = StopFlag();
  output.json = {{"files", all.files},
                 {"read", all.read},
                 {"new_images", all.images},
                 {"new_pins", all.pins},
                 {"new_quarantined", all.quarantined},
                 {"images", counts.images},
                 {"pins", counts.pins},
                 {"quarantined", counts.quarantined},
                 {"ms", watch.Milliseconds()}};
  output.text = std::to_string(all.files) + " files looked at, " + std::to_string(all.read) +
                " read: " + std::to_string(all.images) + " new images, " + std::to_string(all.quarantined) +
                " cannot be used\n" + (StopFlag() ? "stopped; everything so far is kept\n" : "");
  return output;
}

}  // namespace

void AddAddCommand(Program& program) {
  auto flags = std::make_shared<AddFlags>();
  CLI::App* command = program.Add("add", "Add the pictures of a folder, of a pins.jsonl, or of lines on standard input",
                                  [&program, flags] { return RunAdd(program.flags, *flags); });
  command
      ->add_option("source", flags->sources,
                   "Folders, pictures, files of lines (pins as JSON, or paths), or - for stdin")
      ->required();
  command->add_flag("--copy", flags->copy, "Keep a copy of each picture instead of the place where it lies");
}

}  // namespace likeness
