// Pairs of the evaluation's own pictures that are one photograph: altered copies that the sets hold beside the
// original, looked at one by one. Calling them SAME is right, so they are counted neither way.
#pragma once

#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace likeness {

struct KnownScene {
  std::string_view a, b;  // paths below the data's folder, a < b
  std::string_view why;   // what was seen
};
std::span<const KnownScene> KnownScenes();

// Pairs of paths, the lesser first.
using ScenePairs = std::set<std::pair<std::string, std::string>>;
// Those known, and those of `file` (empty: none): a line has two paths and what was seen, separated by tabs; empty
// lines and those that begin with # are passed over. Errors: those of reading; InvalidArgument with the number of a
// line that names no two pictures or no reason.
absl::StatusOr<ScenePairs> ReadScenes(const std::filesystem::path& file);

}  // namespace likeness
