// The pictures of a home as a labelled set: a picture's label is the board that it is pinned to. What people keep on
// one board looks alike often enough to calibrate by, and nobody has to label anything.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "eval/floor.h"
#include "pipeline/home.h"

namespace likeness {

struct BoardSetOptions {
  size_t least = 4;           // pictures of a board, below which it says nothing
  size_t most = 400;          // of one board; drawn
  size_t most_of_all = 8000;  // the rest of them, spread over all boards
  uint64_t seed = 1;
  size_t threads = 1;
};

// How many boards have enough pictures of them, as the catalog counts: with two, SetOfBoards has what it needs as a
// rule. Errors: those of the catalog.
absl::StatusOr<size_t> LargeBoards(Home& home, const BoardSetOptions& options = {});

// With the vectors that the current release has of them: nothing is computed. A picture on several boards counts for
// the first of them by identifier. Errors: FailedPrecondition (no release, or no two boards with enough pictures);
// those of the catalog.
absl::StatusOr<FloorSet> SetOfBoards(Home& home, const BoardSetOptions& options);

}  // namespace likeness
