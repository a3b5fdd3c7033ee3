// Pictures with labels: what a relevance evaluation judges against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "image/limits.h"
#include "types/signature.h"

namespace likeness {

struct LabelledPicture {
  Signature signature;
  std::filesystem::path path;
  uint32_t label = 0;     // index into LabelledSet::labels
  std::string text = {};  // what people wrote about it, where that was asked for
};

// Every picture once, in ascending order of signature: a picture's position is its DocId in the segment made of them.
struct LabelledSet {
  struct Problem {
    std::string source;  // path of the picture
    std::string reason;
  };
  std::vector<std::string> labels;  // sorted
  std::vector<LabelledPicture> pictures;
  std::vector<Problem> problems;  // pictures that cannot be used, by source
  size_t duplicates = 0;          // files left out because their bytes were there before
  size_t unlabelled = 0;          // lines left out for want of a label

  // Drops the pictures whose flag is set. REQUIRES: drop.size() == pictures.size()
  void Drop(const std::vector<bool>& drop);
};

// One class a folder: DIR/CLASS/FILE, recursively below CLASS; hidden files and files right in `folder` are passed
// over. Whether a file is a picture is found when it is decoded.
// Errors: NotFound; InvalidArgument when there are not two pictures to compare.
absl::StatusOr<LabelledSet> ReadLabelledFolder(const std::filesystem::path& folder, const ImageLimits& limits = {});

// One JSON object a line, with `image`, a path relative to the file's folder or to `images/` beside it, and `field`, a
// text or number that is the label; `text_field`, if any, names one that becomes the picture's text; a line whose field
// is absent, null or empty is counted as unlabelled. Errors: NotFound; InvalidArgument naming the line that is no such
// object, or when there are not two pictures.
absl::StatusOr<LabelledSet> ReadLabelledLines(const std::filesystem::path& file, const std::string& field,
                                              const ImageLimits& limits = {}, const std::string& text_field = {});

}  // namespace likeness
