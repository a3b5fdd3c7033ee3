// What a list of hits is about: a topic vector for each hit, made of the words of the hit and of the hits that look
// like it, and how far the nearest hits agree.
//
// One title is a poor witness: "Ankle boots", "Chelsea boot" and "Red Tape Brown" may be one kind of shoe. What is said
// of its neighbors mends that, and gives a picture that has no words yet a topic besides. The query brings no words of
// its own, so that an uploaded picture is judged like a stored one.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "types/hit.h"

namespace likeness {

inline constexpr size_t kTopicNear = 12;      // hits with words that say what an answer is about
inline constexpr size_t kTopicSpeakers = 96;  // the first hits with words: no others are asked what they say
inline constexpr size_t kTopicLooks = 16;     // neighbors of a hit that speak for it, a quarter of the speakers at most

struct Topics {
  // For each hit the cosine of its topic with what the first kTopicNear hits that have words are about, in [0, 1].
  // Nothing for one that has neither words nor a code, and for all while fewer than three hits have words.
  std::vector<std::optional<float>> hits;
  // How far the topics of those first are one, in [0, 1]: the length of their weighted mean, nearer hits counting more.
  std::optional<float> agreement;
};

// Deterministic. REQUIRES: best first, with words, and codes where they are known, among the traits
Topics TopicsOf(std::span<const Hit> hits);

}  // namespace likeness
