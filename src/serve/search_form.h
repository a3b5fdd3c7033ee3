// The body of POST /v1/search, in its three forms, as a search request.
#pragma once

#include "base/status.h"
#include "serve/api_message.h"
#include "serve/search_service.h"
#include "serve/target.h"

namespace likeness {

// The answer's `image` is a view of `request.body`; its deadline is the request's. Any thread.
// Errors: InvalidArgument naming the key that is wrong, missing or unknown; Unimplemented when the body is of a type
// that the search does not take.
absl::StatusOr<SearchRequest> ParseSearch(const ApiRequest& request, const Target& target);

}  // namespace likeness
