// The part of the API that speaks of duplicates: of a picture, and of the collection.
#include "product/duplicate_json.h"
#include "serve/api.h"
#include "serve/api_json.h"
#include "serve/multipart.h"
#include "serve/search_form.h"

namespace likeness {
namespace {

using Json = nlohmann::ordered_json;

ApiResponse JsonResponse(std::string body) { return {200, "application/json", {}, std::move(body)}; }

Json ImageFacts(const DuplicateImage& image) {
  Json pins = Json::array();
  for (const Pin& pin : image.pins) pins.push_back(PinJson(pin));
  return {{"signature", image.signature.Hex()},
          {"width", image.width},
          {"height", image.height},
          {"source", image.source},
          {"pins", std::move(pins)}};
}

Json MatchJson(const DuplicatesAnswer::Match& match) {
  Json json = ImageFacts(match.image);
  json["verdict"] = DuplicateVerdictName(match.verdict);
  json["score"] = match.score;
  json["evidence"] = Json::parse(DuplicateEvidenceJson(match.evidence), nullptr, /*allow_exceptions=*/false);
  return json;
}

std::string AnswerJson(const DuplicatesAnswer& answer) {
  Json matches = Json::array();
  for (const DuplicatesAnswer::Match& match : answer.matches) matches.push_back(MatchJson(match));
  return OneLine({{"release", answer.release},
                  {"query", {{"signature", answer.query.Hex()}, {"width", answer.width}, {"height", answer.height}}},
                  {"matches", std::move(matches)},
                  {"verified", answer.verified},
                  {"compared", answer.compared},
                  {"unreadable", answer.unreadable},
                  {"ms", {{"decode", answer.decode_ms}, {"total", answer.total_ms}}}});
}

std::string PageJson(const DuplicateClusterPage& page, uint64_t offset) {
  Json clusters = Json::array();
  for (const DuplicateClusterPage::Cluster& cluster : page.clusters) {
    Json members = Json::array();
    for (const DuplicatesAnswer::Match& member : cluster.members) members.push_back(MatchJson(member));
    clusters.push_back({{"representative", ImageFacts(cluster.representative)}, {"members", std::move(members)}});
  }
  return OneLine({{"release", page.release},
                  {"state", page.running ? "running" : "done"},
                  {"done", page.done},
                  {"images", page.images},
                  {"unreadable", page.unreadable},
                  {"total", page.total},
                  {"offset", offset},
                  {"clusters", std::move(clusters)}});
}

// The uploaded picture: in the forms of a search, without its options.
absl::StatusOr<DuplicatesRequest> ParseUpload(const ApiRequest& request, const Target& target) {
  LIKENESS_RETURN_IF_ERROR(target.Check({}));
  if (MediaType(request.Header("content-type")) == "application/json") {
    return absl::UnimplementedError("application/json is not taken here; send multipart/form-data or a picture.");
  }
  LIKENESS_ASSIGN_OR_RETURN(const SearchRequest search, ParseSearch(request, target));
  if (search.region || search.color || !search.filter.empty() || search.k != SearchRequest().k) {
    return absl::InvalidArgumentError("Duplicates are looked for of a whole picture; send 'image' alone.");
  }
  return DuplicatesRequest{.image = search.image, .signature = {}, .deadline = request.deadline};
}

}  // namespace

ApiResponse Api::FindDuplicates(const Call& call, const DuplicatesRequest& request) {
  const absl::StatusOr<Admission::Ticket> ticket = Enter(searches_, "searches", call.request.deadline);
  if (!ticket.ok()) return ErrorResponse(ticket.status(), true);
  const absl::StatusOr<DuplicatesAnswer> answer = backend_.Duplicates(request);
  return answer.ok() ? JsonResponse(AnswerJson(*answer)) : ErrorResponse(answer.status(), true);
}

ApiResponse Api::GetDuplicates(const Call& call) {
  if (const absl::Status status = call.target.Check({}); !status.ok()) return ErrorResponse(status, false);
  const absl::StatusOr<ImageRecord> image = Record(call.argument);
  if (!image.ok()) return ErrorResponse(image.status(), false);
  return FindDuplicates(call, {.image = {}, .signature = image->signature, .deadline = call.request.deadline});
}

ApiResponse Api::PostDuplicates(const Call& call) {
  const absl::StatusOr<DuplicatesRequest> request = ParseUpload(call.request, call.target);
  if (absl::IsUnimplemented(request.status())) {
    return ErrorResponse(415, "invalid_argument", MessageOf(request.status()));
  }
  return request.ok() ? FindDuplicates(call, *request) : ErrorResponse(request.status(), true);
}

ApiResponse Api::ListDuplicates(const Call& call) {
  const auto list = [&]() -> absl::StatusOr<std::string> {
    LIKENESS_RETURN_IF_ERROR(call.target.Check({"offset", "limit"}));
    LIKENESS_ASSIGN_OR_RETURN(const uint64_t offset, call.target.Number("offset", 0, INT64_MAX, 0));
    LIKENESS_ASSIGN_OR_RETURN(const uint64_t limit, call.target.Number("limit", 1, kMaxDuplicates, 20));
    LIKENESS_ASSIGN_OR_RETURN(const DuplicateClusterPage page, backend_.DuplicateClusters(offset, limit));
    return PageJson(page, offset);
  };
  absl::StatusOr<std::string> json = list();
  return json.ok() ? JsonResponse(*std::move(json)) : ErrorResponse(json.status(), false);
}

}  // namespace likeness
