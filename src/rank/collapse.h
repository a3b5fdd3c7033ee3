// Near-duplicates in one answer: pictures that show the same become one hit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "types/hit.h"

namespace likeness {

struct CollapseRules {
  uint32_t hash_bits = 31;  // two hashes that differ in at most so many of 256 bits are of one picture,
  int32_t quality = 50;     // when both have at least this quality
  // and their codes, where both have one, differ in at most this share of the bits
  double code_share = 0.25;
  // Codes that differ in at most this share are of one picture, whatever the hashes.
  double same_code_share = 0.01;
};

// Goes down the list: a hit that shows the same as an earlier one that stands becomes a duplicate of the first such.
// Duplicates are compared with the hit they are put behind alone, so that likeness does not chain. Returns how many
// were put away. REQUIRES: best first, ties by signature
size_t CollapseHits(std::vector<Hit>& hits, const CollapseRules& rules = {});

}  // namespace likeness
