// likeness eval parts: what the token index adds to the answers of this home.
#include <map>

#include "cli/command.h"
#include "cli/progress_bar.h"
#include "eval/parts.h"
#include "image/decode.h"
#include "serve/search_service.h"

namespace likeness {
namespace {

absl::StatusOr<std::vector<Signature>> Ask(SearchService& service, SearchRequest request, size_t hits, bool tokens) {
  request.k = hits;
  request.tokens = tokens;
  request.ranking.collapse = false;
  request.ranking.floor = false;
  LIKENESS_ASSIGN_OR_RETURN(const SearchAnswer answer, service.Search(request));
  std::vector<Signature> found;
  for (const SearchAnswer::Result& result : answer.results) found.push_back(result.hit.signature);
  return found;
}

absl::StatusOr<CommandOutput> Run(const CommonFlags& common, const PartsOptions& options) {
  LIKENESS_ASSIGN_OR_RETURN(const auto home, Home::Open(common.home, /*create=*/false));
  LIKENESS_ASSIGN_OR_RETURN(const auto service, SearchService::Open(*home, home->config().threads));
  const std::shared_ptr<const Serving> serving = service->serving();
  if (serving == nullptr) return absl::FailedPreconditionError("nothing is indexed yet: run `likeness index` first");
  if (serving->keypoints == nullptr || serving->weights[Signal::kTokens] == 0) {
    return absl::FailedPreconditionError(
        "searches of this home do not ask visual words: [features] types wants \"local\", [tokens] build true, and "
        "[rank.weights] tokens above 0");
  }
  PartsCollection collection;
  for (const auto& segment : serving->snapshot->segments()) {
    collection.pictures.insert(collection.pictures.end(), segment->signatures().begin(), segment->signatures().end());
  }
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<Pin> pins, home->catalog().Pins(collection.pictures));
  std::map<Signature, std::string> boards;
  for (const Pin& pin : pins) boards.try_emplace(pin.image, pin.board);
  collection.board = [&](const Signature& picture) {
    const auto found = boards.find(picture);
    return found == boards.end() ? std::string() : found->second;
  };
  collection.read = [&](const Signature& picture) -> absl::StatusOr<Pixels> {
    LIKENESS_ASSIGN_OR_RETURN(const std::optional<ImageRecord> image, home->catalog().Image(picture));
    if (!image) return absl::NotFoundError("there is no image " + picture.Hex());
    LIKENESS_ASSIGN_OR_RETURN(const std::string bytes, home->ReadImage(*image));
    return DecodeImage(AsBytes(bytes), home->config().image, kStandardSize);
  };
  collection.ask = [&](std::span<const std::byte> jpeg, size_t hits, bool tokens) {
    SearchRequest request;
    request.image = jpeg;
    return Ask(*service, request, hits, tokens);
  };
  collection.ask_stored = [&](const Signature& picture, size_t hits,
                              bool tokens) -> absl::StatusOr<std::vector<Signature>> {
    SearchRequest request;
    request.signature = picture;
    LIKENESS_ASSIGN_OR_RETURN(std::vector<Signature> found, Ask(*service, request, hits + 1, tokens));
    std::erase(found, picture);
    if (found.size() > hits) found.resize(hits);
    return found;
  };
  absl::StatusOr<PartsReport> report = absl::InternalError("");
  {
    ProgressBar bar;
    report = EvaluateParts(collection, options, [&bar](size_t done, size_t total) { bar.Show("asking", done, total); });
  }
  LIKENESS_RETURN_IF_ERROR(report.status());
  CommandOutput output;
  output.json = nlohmann::ordered_json::parse(PartsReportToJson(*report), nullptr, /*allow_exceptions=*/false);
  output.text = PartsReportToText(*report);
  return output;
}

}  // namespace

void AddEvalParts(Program& program, CLI::App* eval) {
  auto options = std::make_shared<PartsOptions>();
  CLI::App* command = program.Add(
      "parts", "Does a part of a picture of this home find it, with the token index and without?",
      [&program, options] { return Run(program.flags, *options); }, eval);
  command->add_option("--queries", options->queries, "Pictures that are drawn")->capture_default_str();
  command->add_option("--seed", options->seed, "Of everything that is drawn")->capture_default_str();
}

}  // namespace likeness
