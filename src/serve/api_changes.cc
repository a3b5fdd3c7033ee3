// The part of the API that changes the collection: pictures come in and go out.
#include "serve/add_form.h"
#include "serve/api.h"
#include "serve/api_json.h"

namespace likeness {

ApiResponse Api::AddImage(const Call& call) {
  const absl::StatusOr<NewPicture> picture = ParseNewPicture(call.request, call.target);
  if (absl::IsUnimplemented(picture.status())) {
    return ErrorResponse(415, "invalid_argument", MessageOf(picture.status()));
  }
  if (!picture.ok()) return ErrorResponse(picture.status(), true);
  const absl::StatusOr<Admission::Ticket> ticket = Enter(additions_, "additions", call.request.deadline);
  if (!ticket.ok()) return ErrorResponse(ticket.status(), true);
  const Stopwatch watch;
  const absl::StatusOr<AddedPicture> added = backend_.Add(*picture, call.request.deadline);
  if (!added.ok()) {
    if (absl::IsUnavailable(added.status())) metrics_.Refused("additions");
    return ErrorResponse(added.status(), true);
  }
  nlohmann::ordered_json json{{"signature", added->signature.Hex()},
                              {"new", added->is_new},
                              {"searchable", added->searchable},
                              {"reason", added->reason},
                              {"format", added->format},
                              {"width", added->width},
                              {"height", added->height},
                              {"ms", watch.Milliseconds()}};
  ApiResponse response{added->is_new ? 201 : 200, "application/json", {}, OneLine(json)};
  response.headers.emplace_back("Location", "/v1/images/" + added->signature.Hex());
  return response;
}

ApiResponse Api::RemoveImage(const Call& call) {
  if (const absl::Status status = call.target.Check({}); !status.ok()) return ErrorResponse(status, false);
  const std::optional<Signature> signature = Signature::Parse(call.argument);
  if (!signature || signature->Hex() != call.argument) {
    return ErrorResponse(
        400, "invalid_argument",
        "'" + std::string(call.argument.substr(0, 64)) + "' is no signature; give 32 lower-case hexadecimal digits.");
  }
  const absl::StatusOr<bool> removed = backend_.Remove(*signature);
  if (!removed.ok()) return ErrorResponse(removed.status(), false);
  if (!*removed) {
    return ErrorResponse(404, "not_found", "The collection has no picture with signature " + signature->Hex() + ".");
  }
  thumbnails_.Forget(*signature);
  return {200, "application/json", {}, OneLine({{"signature", signature->Hex()}, {"removed", true}})};
}

}  // namespace likeness
