// All that is known of a picture that is asked for its duplicates: computed once, compared with many.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "feature/hash.h"
#include "feature/sift.h"
#include "feature/vocabulary.h"
#include "image/pixels.h"
#include "product/thumbnail.h"
#include "rank/verify.h"
#include "types/local_feature.h"

namespace likeness {

// The keypoints and descriptors that the picture has when left and right are exchanged, without looking at it again: a
// descriptor's rows change places, and its directions go the other way around. `width`: of its frame.
LocalFeatures MirrorLocal(const LocalFeatures& features, float width);

struct DuplicateQueryOptions {
  // That are verified: more than are stored, as what is written over a picture has the strongest ones, and would leave
  // none of the picture's own.
  size_t keypoints = 2 * kMostKeypoints;
  size_t words = 3;      // of a keypoint that are verified, 1..WordSearch::kMostNearest
  bool mirrored = true;  // looks for its mirror image, too
  size_t threads = 1;    // for this one picture, 2 at most
};

// Constant after Of; any thread.
class DuplicateQuery {
 public:
  // `pixels`: decoded with kStandardSize, as those of the features were. A picture without keypoints or without a hash
  // has none, and is asked by what it has. Errors: InvalidArgument when there are no pixels.
  static absl::StatusOr<DuplicateQuery> Of(const Pixels& pixels, const Vocabulary& vocabulary,
                                           const DuplicateQueryOptions& options = {});

  uint32_t width() const { return width_; }  // pixels of the upright original
  uint32_t height() const { return height_; }
  FrameSize frame() const { return thumbnail_->frame(); }
  int quality() const { return quality_; }  // of the hash, 1..100; 0: it has none
  const std::array<PdqHash, kDihedralForms>& forms() const { return forms_; }
  // What verification asks with: several words a keypoint; and what candidates are searched with: the nearest alone of
  // the strongest kMostKeypoints, as a word more costs as much again and finds little.
  const VerifyQuery& as_is() const { return as_is_; }
  const VerifyQuery& mirrored() const { return mirrored_; }
  const VerifyQuery& as_is_nearest() const { return as_is_nearest_; }
  const VerifyQuery& mirrored_nearest() const { return mirrored_nearest_; }
  const Thumbnail& thumbnail() const { return *thumbnail_; }

 private:
  DuplicateQuery() = default;
  uint32_t width_ = 0, height_ = 0;
  int quality_ = 0;
  std::array<PdqHash, kDihedralForms> forms_ = {};
  VerifyQuery as_is_, mirrored_, as_is_nearest_, mirrored_nearest_;
  std::shared_ptr<const Thumbnail> thumbnail_;
};

}  // namespace likeness
