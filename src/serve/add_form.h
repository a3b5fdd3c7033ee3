// The body of POST /v1/images, in its two forms, as a new picture.
#pragma once

#include "base/status.h"
#include "serve/adder.h"
#include "serve/api_message.h"
#include "serve/target.h"

namespace likeness {

// multipart/form-data: a part `image` with the file, and at most one part for each text of the pin: `pin`, `board`,
// `board_title`, `user`, `description`, `link`, `created`. Or the file itself, with the texts in the query string. The
// picture is a view of the request's body. Errors: InvalidArgument naming the parameter; Unimplemented for a body of
// another type.
absl::StatusOr<NewPicture> ParseNewPicture(const ApiRequest& request, const Target& target);

}  // namespace likeness
