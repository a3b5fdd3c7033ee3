// Taking pictures into a collection: a folder, a list of pins, or lines from a stream.
//
// A picture is looked at once: a file whose size and time of change are those recorded is not opened again. Everything
// is recorded in batches, each whole or not at all, so that a run that is cut off anywhere goes on where it was.
#pragma once

#include <cstdint>
#include <filesystem>
#include <istream>

#include "base/clock.h"
#include "base/status.h"
#include "pipeline/home.h"
#include "pipeline/progress.h"

namespace likeness {

struct AddOptions {
  bool copy = false;   // keep a copy of the bytes in the object store, instead of only the place where they lie
  size_t threads = 1;  // files read at once
};

struct AddReport {
  uint64_t files = 0;        // files and lines that were looked at
  uint64_t read = 0;         // files that were opened
  uint64_t images = 0;       // new images
  uint64_t pins = 0;         // new or changed pins
  uint64_t quarantined = 0;  // files that were refused, each with a reason that `status` shows
};

// Every regular file below `folder` but hidden ones (names that begin with a dot); links to folders are not followed.
// Each file makes one pin, whose board is the folder it lies in and whose description is its name in words.
// Errors: NotFound, FailedPrecondition (no folder), those of the catalog.
absl::StatusOr<AddReport> AddFolder(Home& home, const std::filesystem::path& folder, const AddOptions& options,
                                    const RunControl& control, const Clock& clock = Clock::System());

// Lines that are either a pin as a JSON object (docs/formats/pins.md) or the path of a file. Relative paths are meant
// from `base`. A line that is neither ends the run with InvalidArgument and its number; what came before is recorded.
absl::StatusOr<AddReport> AddLines(Home& home, std::istream& lines, const std::filesystem::path& base,
                                   const AddOptions& options, const RunControl& control,
                                   const Clock& clock = Clock::System());

}  // namespace likeness
