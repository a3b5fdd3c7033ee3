// Local features: points of a picture that are found again in another view of it, with what surrounds them.
//
// Detector and descriptor follow D. Lowe, "Distinctive Image Features from Scale-Invariant Keypoints" (IJCV 2004);
// descriptors are compared by Hellinger's kernel: R. Arandjelovic and A. Zisserman, "Three things everyone should know
// to improve object retrieval" (CVPR 2012), section 3 (RootSIFT).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "image/pixels.h"
#include "types/local_feature.h"

namespace likeness {

inline constexpr size_t kLocalDescriptorSize = 128;
inline constexpr size_t kMostKeypoints = 512;  // of a picture
// Raised whenever ExtractLocal would give other keypoints or descriptors for the same pixels.
inline constexpr int kLocalDescriptorRevision = 1;

struct Keypoint {
  float x = 0;  // pixels of the frame, from its left edge, in (0, 512); the first pixel's center is at 0.5
  float y = 0;
  float sigma = 0;  // scale of the blob: the blur at which it stands out, in pixels of the frame, > 0
  float angle = 0;  // of the strongest gradient, radians in [0, 2 pi), clockwise from the x axis as the picture is seen
  float response = 0;  // contrast, of 1; keypoints come strongest first
};

struct LocalFeatures {
  std::vector<Keypoint> keypoints;
  // kLocalDescriptorSize bytes for each keypoint: a vector of length about 512 whose squares are shares of gradient by
  // place (row, column) and direction. Products and Euclidean distances of two of them are what one compares.
  std::vector<uint8_t> descriptors;

  size_t size() const { return keypoints.size(); }
  std::span<const uint8_t, kLocalDescriptorSize> descriptor(size_t i) const {
    return std::span<const uint8_t, kLocalDescriptorSize>(descriptors.data() + i * kLocalDescriptorSize,
                                                          kLocalDescriptorSize);
  }
};

// What a picture must have to be found; the defaults are what the feature `local` is made with.
struct SiftOptions {
  size_t most = kMostKeypoints;  // the strongest are kept
  float contrast = 0.03f;        // of a blob at least, in thirds of the range of gray
  float edge = 10;               // largest ratio of the two curvatures
  bool doubled = true;           // looks for blobs in a picture of twice the size, too
  size_t threads = 1;            // that describe what is found; the bytes are the same for any number of them
};

// The keypoints of the picture as it was decoded: brought to a longer side of 512 where it is longer, never enlarged.
// None for a picture without structure, or one with a side shorter than 6 pixels. The same pixels give the same bytes
// on every machine. Any thread; each keeps up to 40 MB for its next call.
// Errors: InvalidArgument when there are no pixels.
absl::StatusOr<LocalFeatures> ExtractLocal(const Pixels& pixels, const SiftOptions& options = {});

}  // namespace likeness
