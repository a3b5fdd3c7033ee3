// What the subcommands of the command line share.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "pipeline/home.h"

namespace likeness {

// Flags that every subcommand takes.
struct CommonFlags {
  std::filesystem::path home = "likeness-home";
  bool json = false;  // one JSON object as the last line of standard output
};

// What a run of a subcommand gives: the object for --json, and the text for people.
struct CommandOutput {
  nlohmann::ordered_json json;
  std::string text;
  bool failed = false;  // a check or a bar was missed: printed all the same, exit code 1
};

// The program: its parser, the common flags, and the subcommand that the arguments chose.
struct Program {
  CLI::App app{"Likeness: visual search for a collection of pictures.", "likeness"};
  CommonFlags flags;
  std::function<absl::StatusOr<CommandOutput>()> run;

  // A subcommand whose `body` becomes `run` when the arguments choose it. Options are added to what is returned.
  CLI::App* Add(const std::string& name, const std::string& description,
                std::function<absl::StatusOr<CommandOutput>()> body, CLI::App* parent = nullptr);
};

// One function a file: adds its subcommand.
void AddAddCommand(Program& program);
void AddBenchIndexCommand(Program& program);
void AddCostCommand(Program& program);
void AddDuplicatesCommand(Program& program);
void AddEvalCommand(Program& program);
void AddEvalDuplicates(Program& program, CLI::App* eval);
void AddEvalParts(Program& program, CLI::App* eval);
void AddFeaturesCommand(Program& program);
void AddFingerprintCommand(Program& program);
void AddIndexCommand(Program& program);
void AddInspectCommand(Program& program);
void AddJoinCommand(Program& program);
void AddLeafCommand(Program& program);
void AddMaterialiseCommand(Program& program);
void AddModelCommand(Program& program);
void AddPlanCommand(Program& program);
void AddQueueCommand(Program& program);
void AddReleaseCommand(Program& program);
void AddRemoveCommand(Program& program);
void AddRootCommand(Program& program);
void AddSearchCommand(Program& program);
void AddServeCommand(Program& program);
void AddShowCommand(Program& program);
void AddStatusCommand(Program& program);
void AddTrainCommand(Program& program);
void AddWorkerCommand(Program& program);

// Set by SIGINT and SIGTERM once HandleSignals was called; a second signal ends the process.
const std::atomic<bool>& StopFlag();
void HandleSignals();

}  // namespace likeness
