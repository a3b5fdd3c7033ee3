// What runs over a collection found before: an image is asked for its duplicates once, and a run that was stopped goes
// on.
//
// Format: docs/formats/duplicate-log.md. A file of lines, one for each image that was asked; what a crash cut off, or
// what is damaged, is asked again. One object of a file is used by one thread at a time; several processes may append.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/status.h"
#include "product/duplicate_verdict.h"
#include "types/signature.h"

namespace likeness {

class DuplicateLog {
 public:
  // An image that is SAME with the one that was asked; `evidence` has the latter as its query.
  struct Found {
    Signature image;
    float score = 0;
    DuplicateEvidence evidence;
  };

  // FOLDER/RULES.log; makes both where they are not. `rules` names everything that decides what is found: what was
  // found by other rules lies in other files. Lines that cannot be read are passed over. Errors: Unavailable or
  // ResourceExhausted when the file can neither be read nor made; Unimplemented when a later version made it.
  static absl::StatusOr<std::unique_ptr<DuplicateLog>> Open(const std::filesystem::path& folder,
                                                            const std::string& rules);

  // By the image that was asked; with none, it has no duplicates among those that were there.
  const std::map<Signature, std::vector<Found>>& asked() const { return asked_; }

  // One line more. It outlives the process at once, and the machine when the system has written it.
  // Errors: Unavailable or ResourceExhausted; nothing more can be added then.
  absl::Status Add(const Signature& asked, std::vector<Found> found);

 private:
  DuplicateLog() = default;

  std::filesystem::path path_;
  Descriptor file_;
  std::map<Signature, std::vector<Found>> asked_;
  absl::Status written_;  // of the first Add that failed
};

}  // namespace likeness
