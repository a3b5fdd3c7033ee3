// Which of many pairs of points a map of the plane explains: the inner loop of geometric verification (rank/verify.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace likeness {

// Columns of one length, n pairs of keypoints: q of the query, d of the document.
struct PointPairs {
  std::span<const float> qx, qy, dx, dy;   // pixels
  std::span<const float> log_scale, turn;  // document's over query's; turns in radians, [-pi, pi]
  std::span<const float> slack;            // pixels, >= 0: how inexact the document's point is
};

// A map with what it asks of a pair (q, d).
struct PairMap {
  float a = 1, b = 0, left = 0, c = 0, d = 1, top = 0;  // (a x + b y + left, c x + d y + top)
  float log_scale = 0, turn = 0;                        // turn in [-pi, pi]
  float most_log_scale = 0, most_turn = 0;              // that a pair's may differ from the map's
  // The map's image of q is at most factor * (base + cone * |d - center| + slack_share * slack) pixels from d.
  float factor = 1, base = 0, cone = 0, center_x = 0, center_y = 0, slack_share = 0;
};

// Bit i % 64 of out[i / 64] says whether the map explains pair i; bits behind the last are 0. Every level gives the
// same bits: nothing is fused. Any thread. REQUIRES: out has a word for every 64 pairs begun
void MarkExplained(const PointPairs& pairs, const PairMap& map, std::span<uint64_t> out);

}  // namespace likeness
