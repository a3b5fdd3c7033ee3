// The conformity threshold on the metadata of results: precision at the expense of recall (paper, section 3).
//
// Pictures that look alike and are described alike are alike; one whose words nobody else's words support is a guess.
// The words are those of the results alone, never the query's.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "types/hit.h"

namespace likeness {

inline constexpr size_t kConformityNear = 12;  // results that say what an answer is about

struct Conformity {
  // For each hit, in [0, 1]: how much of what the first kConformityNear others say most often its words say too, as a
  // share of what the middle one of the first hits has. Nothing for a hit without words, and for all while fewer than
  // three hits have words.
  std::vector<std::optional<float>> hits;
  // How far the answer is about one thing, in [0, 1]: the support of the word that most of the first hits have, against
  // how common it is, nearer hits counting more. Nothing where no hit can be judged.
  std::optional<float> answer;
};

// REQUIRES: best first, with words among the traits
Conformity ConformityOf(std::span<const Hit> hits);

// Sets every hit's conformity, and drops those below `threshold` together with those that have no words; all of them
// where the answer as a whole is below. Where nothing can be judged nothing is dropped. Returns the answer's conformity
// as it was before.
std::optional<float> KeepConforming(std::vector<Hit>& hits, double threshold);

}  // namespace likeness
