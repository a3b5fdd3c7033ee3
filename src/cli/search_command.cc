// likeness search: asks one question and prints the answer.
#include <cstdio>

#include "base/clock.h"
#include "base/file.h"
#include "cli/command.h"
#include "serve/api_json.h"
#include "serve/search_service.h"

namespace likeness {
namespace {

struct SearchFlags {
  std::string picture;
  std::string region;
  size_t k = 10;
  PinFilter filter;
};

std::string Text(const SearchAnswer& answer) {
  std::string text;
  for (const SearchAnswer::Result& result : answer.results) {
    char line[64];
    std::snprintf(line, sizeof(line), "%6.3f  %4u/%u bits  ", static_cast<double>(result.hit.score.value),
                  result.hit.evidence.distance.bits, result.hit.evidence.code_bits);
    text += line + result.hit.signature.Hex() + "  " + result.source + "\n";
  }
  if (answer.results.empty()) text = "nothing found\n";
  return text;
}

absl::StatusOr<CommandOutput> RunSearch(const CommonFlags& common, const SearchFlags& flags) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  SearchRequest request;
  request.k = flags.k;
  request.filter = flags.filter;
  if (!flags.region.empty()) {
    request.region = Region::Parse(flags.region);
    if (!request.region) return absl::InvalidArgumentError("--region must be x,y,w,h in pixels, like 10,20,200,150");
  }
  std::string bytes;
  std::error_code error;
  if (const auto signature = Signature::Parse(flags.picture);
      signature && !std::filesystem::exists(flags.picture, error)) {
    request.signature = signature;
  } else {
    LIKENESS_ASSIGN_OR_RETURN(bytes, ReadFile(flags.picture, home->config().image.max_bytes));
    if (bytes.empty()) return absl::DataLossError(flags.picture + " cannot be read: the file is empty");
    request.image = AsBytes(bytes);
  }
  LIKENESS_ASSIGN_OR_RETURN(const auto service, SearchService::Open(*home, home->config().threads));
  const absl::StatusOr<SearchAnswer> answer = service->Search(request);
  if (!answer.ok() && BlameOf(answer.status()) == Blame::kData) {
    return Annotate(answer.status(), flags.picture + " cannot be read");
  }
  LIKENESS_RETURN_IF_ERROR(answer.status());
  return CommandOutput{SearchAnswerJson(*answer), Text(*answer)};
}

}  // namespace

void AddSearchCommand(Program& program) {
  auto flags = std::make_shared<SearchFlags>();
  CLI::App* command = program.Add("search", "Find what looks like a picture",
                                  [&program, flags] { return RunSearch(program.flags, *flags); });
  command->add_option("picture", flags->picture, "A picture file, or the signature of an image of the collection")
      ->required();
  command->add_option("-k,--k", flags->k, "Hits wanted, 1 to 1000")->check(CLI::Range(1, 1000))->capture_default_str();
  command->add_option("--region", flags->region, "Part of the picture to look for: x,y,w,h in pixels");
  command->add_option("--board", flags->filter.board, "Only images pinned on this board");
  command->add_option("--text", flags->filter.text, "Only images whose descriptions have words that begin so");
}

}  // namespace likeness
