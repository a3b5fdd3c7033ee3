// The part of the API that speaks of the collection: search, pictures, boards, status.
#include <charconv>

#include "serve/api.h"
#include "serve/api_json.h"
#include "serve/collection_json.h"
#include "serve/color_json.h"
#include "serve/search_form.h"

namespace likeness {
namespace {

ApiResponse JsonResponse(std::string body) { return {200, "application/json", {}, std::move(body)}; }

// As the catalog names formats. Never a type that a browser would run: what is unknown is only to be saved.
std::string_view MediaTypeOf(std::string_view format) {
  constexpr std::string_view kFormats[] = {"jpeg", "image/jpeg", "png",  "image/png",  "webp", "image/webp",
                                           "gif",  "image/gif",  "tiff", "image/tiff", "heic", "image/heic",
                                           "heif", "image/heif", "avif", "image/avif"};
  for (size_t i = 0; i < std::size(kFormats); i += 2) {
    if (kFormats[i] == format) return kFormats[i + 1];
  }
  return "application/octet-stream";
}

}  // namespace

ApiResponse Api::Search(const Call& call) {
  const absl::StatusOr<SearchRequest> search = ParseSearch(call.request, call.target);
  if (absl::IsUnimplemented(search.status())) {
    return ErrorResponse(415, "invalid_argument", MessageOf(search.status()));
  }
  if (!search.ok()) return ErrorResponse(search.status(), true);
  const absl::StatusOr<Admission::Ticket> ticket = Enter(searches_, "searches", call.request.deadline);
  if (!ticket.ok()) return ErrorResponse(ticket.status(), true);
  const absl::StatusOr<SearchAnswer> answer = backend_.Search(*search);
  if (!answer.ok()) return ErrorResponse(answer.status(), true);
  metrics_.Searched(answer->ms.decode / 1000, answer->ms.feature / 1000, answer->ms.search / 1000);
  return JsonResponse(OneLine(SearchAnswerJson(*answer)));
}

ApiResponse Api::ListImages(const Call& call) {
  const auto list = [&]() -> absl::StatusOr<std::string> {
    const Target& target = call.target;
    LIKENESS_RETURN_IF_ERROR(target.Check({"offset", "limit", "board", "text"}));
    LIKENESS_ASSIGN_OR_RETURN(const uint64_t offset, target.Number("offset", 0, INT64_MAX, 0));
    LIKENESS_ASSIGN_OR_RETURN(const uint64_t limit, target.Number("limit", 1, 1000, 100));
    PinFilter filter;
    LIKENESS_ASSIGN_OR_RETURN(filter.board, target.Text("board"));
    LIKENESS_ASSIGN_OR_RETURN(filter.text, target.Text("text"));
    LIKENESS_ASSIGN_OR_RETURN(const ImageList images, backend_.List(offset, limit, filter));
    return ImageListJson(images, offset);
  };
  absl::StatusOr<std::string> json = list();
  return json.ok() ? JsonResponse(*std::move(json)) : ErrorResponse(json.status(), false);
}

absl::StatusOr<ImageRecord> Api::Record(std::string_view signature) {
  const std::optional<Signature> parsed = Signature::Parse(signature);
  if (!parsed || parsed->Hex() != signature) {
    return absl::InvalidArgumentError("'" + std::string(signature.substr(0, 64)) +
                                      "' is no signature; give 32 lower-case hexadecimal digits.");
  }
  LIKENESS_ASSIGN_OR_RETURN(std::optional<ImageRecord> image, backend_.Image(*parsed));
  if (!image) {
    return absl::NotFoundError("The collection has no picture with signature " + std::string(signature) + ".");
  }
  if (image->removed) {
    return absl::NotFoundError("The picture " + std::string(signature) + " was removed from the collection.");
  }
  if (!image->reason.empty()) {
    return absl::NotFoundError("The picture " + std::string(signature) + " is set aside: " + image->reason);
  }
  return *std::move(image);
}

ApiResponse Api::GetImage(const Call& call) {
  const auto get = [&]() -> absl::StatusOr<std::string> {
    LIKENESS_RETURN_IF_ERROR(call.target.Check({}));
    LIKENESS_ASSIGN_OR_RETURN(const ImageRecord image, Record(call.argument));
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<Pin> pins, backend_.Pins(image.signature));
    return ImageJson(image, pins, backend_.Features(image.signature));
  };
  absl::StatusOr<std::string> json = get();
  return json.ok() ? JsonResponse(*std::move(json)) : ErrorResponse(json.status(), false);
}

ApiResponse Api::GetColors(const Call& call) {
  if (const absl::Status status = call.target.Check({}); !status.ok()) return ErrorResponse(status, false);
  const absl::StatusOr<ImageRecord> image = Record(call.argument);
  if (!image.ok()) return ErrorResponse(image.status(), false);
  const ColorSignature colors = backend_.Colors(image->signature);
  return JsonResponse(OneLine({{"colors", PaletteJson(std::span<const SalientColor>(colors))}}));
}

ApiResponse Api::Immutable(const Call& call, const std::string& etag) const {
  const std::string scope = options_.access.token.empty() ? "public" : "private";
  ApiResponse response{200, {}, {{"ETag", etag}, {"Cache-Control", scope + ", max-age=31536000, immutable"}}, {}};
  if (call.request.Header("if-none-match").find(etag) != std::string_view::npos) response.status = 304;
  return response;
}

ApiResponse Api::GetPixels(const Call& call) {
  if (const absl::Status status = call.target.Check({}); !status.ok()) return ErrorResponse(status, false);
  const absl::StatusOr<ImageRecord> image = Record(call.argument);
  if (!image.ok()) return ErrorResponse(image.status(), false);
  const std::string hex = image->signature.Hex();
  ApiResponse response = Immutable(call, "\"" + hex + "\"");
  if (response.status == 304) return response;
  const absl::StatusOr<Admission::Ticket> ticket = Enter(pictures_, "pictures", call.request.deadline);
  if (!ticket.ok()) return ErrorResponse(ticket.status(), false);
  absl::StatusOr<std::string> bytes = backend_.Read(*image);
  if (!bytes.ok()) return ErrorResponse(bytes.status(), true);
  response.content_type = MediaTypeOf(image->format);
  const bool known = response.content_type != "application/octet-stream";
  response.headers.emplace_back("Content-Disposition",
                                known ? "inline; filename=\"" + hex + "." + image->format + "\"" : "attachment");
  response.headers.emplace_back("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox");
  response.body = *std::move(bytes);
  return response;
}

ApiResponse Api::GetThumbnail(const Call& call) {
  if (const absl::Status status = call.target.Check({"size"}); !status.ok()) return ErrorResponse(status, false);
  const absl::StatusOr<uint64_t> size = call.target.Number("size", Thumbnails::kMinSide, Thumbnails::kMaxSide, 256);
  if (!size.ok()) return ErrorResponse(size.status(), false);
  const uint32_t side = Thumbnails::Side(static_cast<uint32_t>(*size));
  const absl::StatusOr<ImageRecord> image = Record(call.argument);
  if (!image.ok()) return ErrorResponse(image.status(), false);
  ApiResponse response = Immutable(call, "\"" + image->signature.Hex() + "-" + std::to_string(side) + "\"");
  if (response.status == 304) return response;
  const Deadline deadline = call.request.deadline;
  const absl::StatusOr<Thumbnails::Jpeg> jpeg =
      thumbnails_.Get(image->signature, side, deadline, [&]() -> absl::StatusOr<std::string> {
        const absl::StatusOr<Admission::Ticket> ticket = Enter(pictures_, "pictures", deadline);
        if (!ticket.ok()) return ticket.status();
        return backend_.Thumbnail(*image, side);
      });
  if (!jpeg.ok()) return ErrorResponse(jpeg.status(), true);
  response.content_type = "image/jpeg";
  response.body = **jpeg;
  return response;
}

ApiResponse Api::ListBoards(const Call& call) {
  if (const absl::Status status = call.target.Check({}); !status.ok()) return ErrorResponse(status, false);
  absl::StatusOr<std::vector<Board>> boards = backend_.Boards();
  return boards.ok() ? JsonResponse(BoardsJson(*std::move(boards))) : ErrorResponse(boards.status(), false);
}

ApiResponse Api::GetStatus(const Call& call) {
  if (const absl::Status status = call.target.Check({}); !status.ok()) return ErrorResponse(status, false);
  const absl::StatusOr<CollectionStatus> status = backend_.Status();
  return status.ok() ? JsonResponse(OneLine(StatusJson(*status))) : ErrorResponse(status.status(), false);
}

}  // namespace likeness
