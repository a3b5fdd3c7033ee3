// A vocabulary for tests that need one of any kind: words drawn at random, the same for a seed.
#pragma once

#include <memory>

#include "base/random.h"
#include "feature/rotation.h"
#include "feature/vocabulary.h"

namespace likeness {

inline VocabularyParts TinyVocabularyParts(size_t words = 64, uint64_t seed = 1) {
  Random random(seed);
  VocabularyParts parts;
  for (size_t i = 0; i < words * kLocalDescriptorSize; ++i) {
    // As skewed as those of real descriptors.
    parts.words.push_back(static_cast<uint8_t>(160 * random.Unit() * random.Unit()));
  }
  parts.cells = GroupWords(parts.words, seed, 1);
  parts.projection = RandomRotation(kWordSignatureBits, kLocalDescriptorSize, seed);
  for (size_t i = 0; i < words * kWordSignatureBits; ++i) {
    parts.medians.push_back(static_cast<int8_t>(static_cast<int>(random.Below(21)) - 10));
  }
  return parts;
}

inline std::shared_ptr<const Vocabulary> MakeTinyVocabulary(size_t words = 64, uint64_t seed = 1) {
  return *Vocabulary::FromParts(TinyVocabularyParts(words, seed));
}

}  // namespace likeness
