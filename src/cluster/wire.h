// Queries and answers as messages and back: the one place that knows both.
//
// Messages come from outside: whatever they hold, the result is a value or InvalidArgument. Floats travel as their
// bits, so that an answer is the same bytes wherever it was made.
#pragma once

#include <leaf.pb.h>

#include <vector>

#include "base/status.h"
#include "rank/leaf.h"

namespace likeness {

// The deadline is not part of it: it is that of the call.
void ToMessage(const VisualQuery& query, v1::Query& message);
absl::StatusOr<VisualQuery> FromMessage(const v1::Query& message);

void ToMessage(const Hit& hit, v1::Hit& message);
absl::StatusOr<Hit> FromMessage(const v1::Hit& message);

}  // namespace likeness
