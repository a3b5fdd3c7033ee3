// likeness inspect: opens any file of ours and says what is in it.
#include "base/file.h"
#include "cli/command.h"
#include "index/segment.h"
#include "index/token_index.h"
#include "store/inspect.h"

namespace likeness {
namespace {

absl::StatusOr<CommandOutput> RunInspect(const std::string& path) {
  LIKENESS_ASSIGN_OR_RETURN(const auto mapped, MappedFile::Open(path));
  absl::StatusOr<std::string> text =
      IsTokenFile(mapped->bytes()) ? InspectTokens(path) : InspectSegment(mapped->bytes());
  if (!text.ok()) text = InspectFile(path);
  if (!text.ok()) return Annotate(text.status(), path);
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(*text, nullptr, false);
  std::string pretty = json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  return CommandOutput{std::move(json), std::move(pretty)};
}

}  // namespace

void AddInspectCommand(Program& program) {
  auto path = std::make_shared<std::string>();
  CLI::App* command =
      program.Add("inspect", "Show what is in a segment, token file, feature shard, fingerprint file or release",
                  [path] { return RunInspect(*path); });
  command->add_option("file", *path, "The file")->required();
}

}  // namespace likeness
