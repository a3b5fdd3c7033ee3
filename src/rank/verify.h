// Geometric verification: do the keypoints of two pictures lie as one picture's would after a turn, a change of size
// or proportions, a crop or a mirror?
//
// Pairs are taken by visual word and signature; each pair alone says how its pictures would lie upon one another
// (D. Lowe, IJCV 2004, section 7.3; J. Philbin et al., "Object Retrieval with Large Vocabularies and Fast Spatial
// Matching", CVPR 2007, section 4); the best of these guesses are refined to affine ones on all that agree with them
// (O. Chum, J. Matas, J. Kittler, "Locally Optimized RANSAC", DAGM 2003). Every pair is tried, none is drawn by lot, so
// that the same rows give the same answer. All functions: any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "types/local_feature.h"

namespace likeness {

struct Point {
  float x = 0;
  float y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};

// (x, y) -> (a x + b y + left, c x + d y + top)
struct Affine {
  float a = 1, b = 0, left = 0;
  float c = 0, d = 1, top = 0;

  Point operator()(Point p) const { return {a * p.x + b * p.y + left, c * p.x + d * p.y + top}; }
  float determinant() const { return a * d - b * c; }  // by what areas grow; negative when it mirrors
  std::optional<Affine> Inverse() const;               // nothing when areas vanish
  Affine After(const Affine& first) const;             // first `first`, then this
  friend bool operator==(const Affine&, const Affine&) = default;
};

// The size of a picture in the frame of kLocalFrame: its longer side is kLocalFrame.
struct FrameSize {
  float width = kLocalFrame;
  float height = kLocalFrame;
  friend bool operator==(const FrameSize&, const FrameSize&) = default;
};
// Of a picture of so many pixels, both > 0. A picture of no size has the whole frame.
FrameSize FrameOf(uint32_t width, uint32_t height);

// The corners of a convex polygon, in order around it; empty when nothing is left.
using Polygon = std::vector<Point>;
float AreaOf(std::span<const Point> polygon);  // >= 0
// The part of a picture of size `to` that one of size `from` covers when `transform` lays it there; in `to`.
Polygon Overlap(FrameSize from, const Affine& transform, FrameSize to);

struct VerifyOptions {
  uint32_t most_distance = 22;  // bits between the signatures of a pair, at most
  size_t most_pairs = 768;      // the nearest are kept
  size_t most_guesses = 192;    // pairs that are asked how the pictures lie, nearest first
  size_t refined = 6;           // guesses that are refined
  float tolerance = 5;          // pixels of the frame by which a pair may be off
  float largest_scale = 10;     // or its inverse
  float largest_aspect = 2;     // ratio of the two scales of an affine guess
};

// What a query's keypoints look like from the side of verification: made once, asked of many documents.
class VerifyQuery {
 public:
  VerifyQuery() = default;
  // `features`: one row for each word of each keypoint; rows of equal place, scale and angle are one keypoint.
  // `mirrored`: they are those of the picture with left and right exchanged; all answers are in the coordinates of the
  // picture as it is.
  VerifyQuery(std::span<const LocalFeature> features, FrameSize frame, bool mirrored = false);

  FrameSize frame() const { return frame_; }
  bool mirrored() const { return mirrored_; }
  bool empty() const { return rows_.empty(); }

  struct Row {
    uint32_t word = 0;
    uint32_t keypoint = 0;
    uint64_t signature = 0;
  };
  struct Keypoint {
    float x = 0, y = 0, sigma = 1, angle = 0;
    uint32_t place = 0;  // keypoints of one place have equal numbers
  };
  std::span<const Row> rows() const { return rows_; }  // by word
  std::span<const Keypoint> keypoints() const { return keypoints_; }
  std::span<const Point> places() const { return places_; }  // where each place is

 private:
  FrameSize frame_;
  bool mirrored_ = false;
  std::vector<Row> rows_;
  std::vector<Keypoint> keypoints_;
  std::vector<Point> places_;
};

// A keypoint of the query and the one of the document that lies where it should, in pixels of their frames.
struct VerifiedPair {
  Point query;
  Point document;
  uint32_t distance = 0;  // bits between the signatures
};

// How two pictures lie upon one another, and what speaks for it.
struct Verification {
  size_t pairs = 0;                   // by word and signature
  size_t inliers = 0;                 // different places that lie where they should, in both pictures
  std::vector<VerifiedPair> matches;  // them, nearest signatures first
  Affine transform;                   // frame of the query to frame of the document; of meaning when inliers > 0
  // What is seen in both, as a polygon in each frame, and its share of each picture, in [0, 1].
  Polygon query_region, document_region;
  float query_coverage = 0, document_coverage = 0;
  size_t query_places = 0, document_places = 0;  // keypoints' places that lie in the region
  float spread = 0;                              // share of the region's area that the inliers' hull has, in [0, 1]
};

// The best way to lay the query upon the document; inliers is 0 when there is none (fewer than 3 pairs agree).
// `document`: rows by ascending word, as PackLocals has them. Numbers of rows must be finite, as unpacked ones are.
Verification Verify(const VerifyQuery& query, std::span<const LocalFeature> document, FrameSize frame,
                    const VerifyOptions& options = {});

}  // namespace likeness
