// Index releases: which there are, and which of them serves (docs/releases.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "pipeline/home.h"
#include "store/release.h"

namespace likeness {

struct ReleaseEntry {
  Release release;
  bool current = false;
  bool previous = false;  // what RollBack goes to
};

// Every release, newest first.
absl::StatusOr<std::vector<ReleaseEntry>> ListReleases(Home& home);

// Makes the release the current one with one conditional put; false when it was already. Servers take it up within a
// second. Errors: NotFound; FailedPrecondition when some of its files are gone, when it is being removed, or when
// another switched meanwhile.
absl::StatusOr<bool> SwitchRelease(Home& home, std::string_view name);

// Switches to the release that was current before this one, and returns its name; twice is no change.
// Errors: as SwitchRelease; FailedPrecondition when there is none.
absl::StatusOr<std::string> RollBack(Home& home);

}  // namespace likeness
