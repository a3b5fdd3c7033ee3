// What no kept release names and the configuration does not use, and its removal (docs/releases.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "object/object_store.h"
#include "pipeline/home.h"
#include "pipeline/progress.h"

namespace likeness {

// Which releases are kept: the current and the previous one, and those that meet any of these.
struct KeepRules {
  double days = 7;      // younger than that
  uint64_t newest = 0;  // among so many that were created last
};

// What can go. Thumbnails are files of the home, everything else is objects.
struct Garbage {
  std::vector<std::string> kept;      // releases, newest first
  std::vector<std::string> releases;  // that go, newest first
  std::vector<ObjectInfo> objects;    // that go, by key, without the releases themselves
  std::vector<std::filesystem::path> thumbnails;
  uint64_t bytes = 0;  // of objects and thumbnails
  bool empty() const { return releases.empty() && objects.empty() && thumbnails.empty(); }
};

// Finds what no kept release names and the current configuration does not use: fingerprints and segments of other
// generations, binarizers, features of other versions, parts of cells that are sealed, thumbnails of images that are
// gone. Images and epoch lists are never among it. The generation and the feature versions of the current
// configuration always stay, so that a build which runs meanwhile loses nothing.
// Errors: those of the store and the catalog, and of a configuration whose models are not there.
absl::StatusOr<Garbage> FindGarbage(Home& home, const KeepRules& rules, const Clock& clock = Clock::System());

// Removes what FindGarbage still finds of `garbage`, and returns it. A release that goes can no longer be switched to
// from the first moment on. It may be cut off anywhere and repeated. Errors: those of FindGarbage; FailedPrecondition
// when another release became current meanwhile.
absl::StatusOr<Garbage> RemoveGarbage(Home& home, const KeepRules& rules, const Garbage& garbage,
                                      const RunControl& control, const Clock& clock = Clock::System());

}  // namespace likeness
