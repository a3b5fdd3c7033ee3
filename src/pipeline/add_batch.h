// The middle of `add`: files that may have pins, looked at and recorded a batch at a time.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "pipeline/add.h"
#include "pipeline/home.h"

namespace likeness {

// A file that is to be a pin; everything of the pin but its image is known.
struct AddCandidate {
  std::filesystem::path path;  // absolute
  Pin pin;
};

// Looks at the files, records what is new in one transaction, and counts it into `report`. A full disk or a lost
// database is an error; a file that cannot be used is recorded with its reason.
absl::Status AddBatch(Home& home, const std::vector<AddCandidate>& candidates, const AddOptions& options,
                      const Clock& clock, AddReport& report);

}  // namespace likeness
