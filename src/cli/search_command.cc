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
  std::string color;
  double color_weight = 0.5;
  PinFilter filter;
  bool all = false, copies = false, no_tokens = false;
  std::optional<double> conformity;
};

std::string Text(const SearchAnswer& answer) {
  std::string text;
  for (const SearchAnswer::Result& result : answer.results) {
    const Evidence& evidence = result.hit.evidence;
    char line[64];
    std::snprintf(line, sizeof(line), "%6.3f  ", static_cast<double>(result.hit.score.value));
    text += line;
    if (evidence.code_bits > 0) {
      std::snprintf(line, sizeof(line), "%4u/%u bits  ", evidence.distance.bits, evidence.code_bits);
      text += line;
    }
    if (evidence.plain) {
      std::snprintf(line, sizeof(line), "color %.2f  ", static_cast<double>(evidence.plain->match));
      text += line;
    }
    if (evidence.tokens) {
      std::snprintf(line, sizeof(line), "%3u keypoints  ", evidence.tokens->verified);
      text += line;
    }
    if (evidence.probability && answer.calibration == SearchAnswer::Calibration::kHome) {
      std::snprintf(line, sizeof(line), "%3.0f %% sure  ", 100 * static_cast<double>(*evidence.probability));
      text += line;
    }
    text += result.hit.signature.Hex() + "  " + result.source;
    if (const size_t copies = result.hit.duplicates.size(); copies > 0) {
      text += "  and " + std::to_string(copies) + (copies == 1 ? " copy" : " copies");
    }
    text += "\n";
  }
  if (answer.results.empty()) text = "nothing found\n";
  if (const size_t below = answer.left_out.below_floor; below > 0) {
    text += std::to_string(below) + " less probable hits are left out: --all shows them\n";
  }
  if (const size_t apart = answer.left_out.not_conforming; apart > 0) {
    text += std::to_string(apart) + " hits are left out whose words do not go with the others'\n";
  }
  return text;
}

absl::StatusOr<CommandOutput> RunSearch(const CommonFlags& common, const SearchFlags& flags) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  SearchRequest request;
  request.k = flags.k;
  request.filter = flags.filter;
  if (flags.all) request.ranking.floor = false;
  request.tokens = !flags.no_tokens;
  request.ranking.collapse = !flags.copies;
  request.ranking.conformity = flags.conformity;
  if (!flags.region.empty()) {
    request.region = Region::Parse(flags.region);
    if (!request.region) return absl::InvalidArgumentError("--region must be x,y,w,h in pixels, like 10,20,200,150");
  }
  if (!flags.color.empty()) {
    const std::optional<ColorQuery> color = ColorQuery::Parse(flags.color);
    if (!color) {
      return absl::InvalidArgumentError("--color must be #rrggbb or a name such as red or \"navy blue\", not " +
                                        flags.color);
    }
    request.color = ColorWish{*color, static_cast<float>(flags.color_weight)};
  }
  std::string bytes;
  std::error_code error;
  if (flags.picture.empty()) {
    if (!request.color) return absl::InvalidArgumentError("give a picture, or a color with --color");
  } else if (const auto signature = Signature::Parse(flags.picture);
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
  command->add_option("picture", flags->picture,
                      "A picture file, or the signature of an image of the collection; may be left out with --color");
  command->add_option("-k,--k", flags->k, "Hits wanted, 1 to 1000")->check(CLI::Range(1, 1000))->capture_default_str();
  command->add_option("--region", flags->region, "Part of the picture to look for: x,y,w,h in pixels");
  command->add_option("--color", flags->color, "Wanted color, #rrggbb or a name: with a picture, the same look in it");
  command->add_option("--color-weight", flags->color_weight, "Share of the color in the score, 0 to 1")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_flag("--all", flags->all, "Also hits that are hardly relevant, which are left out otherwise");
  command->add_flag("--no-tokens", flags->no_tokens, "By the look alone, not also by keypoints that lie alike");
  command->add_flag("--copies", flags->copies, "Near-duplicates each as a hit of its own");
  command
      ->add_option("--conformity", flags->conformity,
                   "Only hits whose words go with those of the others at least so well, 0 to 1")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--board", flags->filter.board, "Only images pinned on this board");
  command->add_option("--text", flags->filter.text, "Only images whose descriptions have words that begin so");
}

}  // namespace likeness
