// Visual words as real pictures have them, and made pictures that have them alike, as many as one wants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "types/local_feature.h"

namespace likeness {

// What is measured of photographs of the evaluation data, with the vocabulary that comes along.
struct WordStatistics {
  size_t pictures = 0;
  size_t keypoints = 0;
  std::vector<uint32_t> counts;  // keypoints of each word
  double repeats = 0;            // share of a picture's keypoints whose word one before it has
  double bits_variance = 0;      // of the distance of two signatures of one word, of different pictures
  double near = 0;               // share of such pairs within `near_bits`
  uint32_t near_bits = 22;
};

// Ends the program with a sentence where pictures or vocabulary are absent.
WordStatistics MeasureWords(size_t pictures_of_each_set);

// Makes pictures. Words beyond those that were measured come of dividing each measured word into as many as are needed,
// with shares that vary as the measured words' do.
class PictureMaker {
 public:
  PictureMaker(const WordStatistics& statistics, size_t words, uint64_t seed);

  // `keypoints` of them, in the order of words.
  void Make(Random& random, size_t keypoints, std::vector<LocalFeature>& picture) const;
  // Keypoints that a query for an altered copy has: `kept` of the picture's, with up to 14 bits changed, turned and
  // enlarged, and new ones up to `keypoints`.
  std::vector<LocalFeature> MakeQuery(Random& random, const std::vector<LocalFeature>& picture, size_t kept,
                                      size_t keypoints) const;

  // Postings that a query word meets, as a share of all: the sum of the squared shares of words.
  double meeting() const { return meeting_; }

 private:
  uint32_t DrawWord(Random& random) const;
  uint64_t DrawSignature(Random& random) const;
  LocalFeature Draw(Random& random, uint32_t word) const;

  double repeats_;
  uint64_t copied_ = 0;          // bits that repeat those half a word below, so that distances vary as measured
  std::vector<float> stay_;      // the alias method: share of a slot that is its own word's
  std::vector<uint32_t> alias_;  // and whose the rest is
  double meeting_ = 0;
};

}  // namespace likeness
