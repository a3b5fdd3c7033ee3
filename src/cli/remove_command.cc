// likeness remove: takes pictures out of the collection for good.
#include "cli/command.h"
#include "pipeline/remove.h"

namespace likeness {
namespace {

absl::StatusOr<CommandOutput> RunRemove(const CommonFlags& common, const std::vector<std::string>& signatures) {
  std::vector<Signature> parsed;
  for (const std::string& text : signatures) {
    const std::optional<Signature> signature = Signature::Parse(text);
    if (!signature) return absl::InvalidArgumentError("'" + text + "' is no signature: give 32 hexadecimal digits");
    parsed.push_back(*signature);
  }
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  uint64_t removed = 0;
  for (const Signature& signature : parsed) {
    LIKENESS_ASSIGN_OR_RETURN(const bool one, RemoveImage(*home, signature));
    removed += one ? 1 : 0;
  }
  CommandOutput output;
  output.failed = removed < parsed.size();
  output.json = {{"removed", removed}, {"unknown", parsed.size() - removed}};
  output.text = std::to_string(removed) + " removed" +
                (output.failed ? ", " + std::to_string(parsed.size() - removed) + " not in the collection" : "") + "\n";
  return output;
}

}  // namespace

void AddRemoveCommand(Program& program) {
  auto signatures = std::make_shared<std::vector<std::string>>();
  CLI::App* command = program.Add("remove", "Take pictures out of the collection for good",
                                  [&program, signatures] { return RunRemove(program.flags, *signatures); });
  command->add_option("signature", *signatures, "Signatures of the pictures; their files are left alone")->required();
}

}  // namespace likeness
