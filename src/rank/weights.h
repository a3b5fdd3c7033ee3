// The linear model of the leaf ranker as a file: what `likeness train ranker` writes and a search takes.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "types/signal.h"

namespace likeness {

// {"format": "likeness.ranker", "format_version": 1, "weights": {"visual": 1, ...}}; a signal that is not named has the
// weight 0. Errors of parsing: DataLoss with the reason (also a signal that does not exist, a number that is not
// finite), Unimplemented (a newer format).
std::string FormatWeights(const SignalWeights& weights);
absl::StatusOr<SignalWeights> ParseWeights(std::string_view json);

}  // namespace likeness
