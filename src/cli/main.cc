// The command line. Exit codes: 0 ok, 1 failed, 2 usage.
#include <cstdio>

#include "cli/command.h"
#include "serve/api_json.h"

int main(int argc, char** argv) {
  using namespace likeness;
  Program program;
  program.app.add_option("--home", program.flags.home, "Folder of the collection")->capture_default_str();
  program.app.add_flag("--json", program.flags.json, "Print one JSON object as the last line");
  program.app.require_subcommand(1);
  program.app.fallthrough();
  for (const auto add :
       {AddAddCommand,         AddRemoveCommand,  AddFingerprintCommand, AddIndexCommand,     AddServeCommand,
        AddSearchCommand,      AddStatusCommand,  AddPlanCommand,        AddWorkerCommand,    AddJoinCommand,
        AddMaterialiseCommand, AddQueueCommand,   AddReleaseCommand,     AddCostCommand,      AddFeaturesCommand,
        AddShowCommand,        AddInspectCommand, AddModelCommand,       AddTrainCommand,     AddEvalCommand,
        AddDuplicatesCommand,  AddLeafCommand,    AddRootCommand,        AddBenchIndexCommand}) {
    add(program);
  }
  try {
    program.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.app.exit(error) == 0 ? 0 : 2;
  }
  HandleSignals();
  const absl::StatusOr<CommandOutput> output = program.run();
  if (!output.ok()) {
    const std::string message = MessageOf(output.status());
    std::fprintf(stderr, "likeness: %s\n", message.c_str());
    if (program.flags.json) {
      std::printf("%s\n", OneLine(ErrorJson(output.status())).c_str());
    }
    return 1;
  }
  std::fputs(output->text.c_str(), stdout);
  if (program.flags.json) std::printf("%s\n", OneLine(output->json).c_str());
  std::fflush(stdout);
  return output->failed ? 1 : 0;
}
