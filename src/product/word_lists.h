// Which documents share most with a query's visual words: the lists of a collection held in memory.
//
// The answer to a small collection, and to one whose release has no token index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "rank/verify.h"
#include "types/local_feature.h"

namespace likeness {

struct WordCandidate {
  uint64_t document = 0;
  float score = 0;  // > 0
};

// Any thread.
class WordSource {
 public:
  virtual ~WordSource() = default;
  // The documents with most in common, best first, ties by document; at most `most`.
  virtual std::vector<WordCandidate> Find(const VerifyQuery& query, size_t most) const = 0;
};

// H. Jegou, M. Douze, C. Schmid, "Hamming Embedding and Weak Geometric Consistency" (ECCV 2008): a pair of keypoints of
// one word counts by the rarity of the word and the nearness of the signatures; a keypoint of the query counts once a
// document.
class WordLists final : public WordSource {
 public:
  // Documents are added by ascending number, all of them before the first Find. `rows`: as UnpackLocals gives them.
  void Add(uint32_t document, std::span<const LocalFeature> rows);
  void Finish();

  // REQUIRES: Finish was called
  std::vector<WordCandidate> Find(const VerifyQuery& query, size_t most) const override;

  uint64_t bytes() const;

 private:
  struct Posting {
    uint32_t word = 0;
    uint32_t document = 0;
    uint64_t signature = 0;
  };
  std::vector<Posting> added_;
  std::vector<uint32_t> documents_;   // by word
  std::vector<uint64_t> signatures_;  // beside documents_
  std::vector<uint64_t> begins_;      // [words + 1]
  std::vector<float> rarity_;         // [words]: squared idf
  std::vector<float> lengths_;        // [documents]: what a document's sum is divided by
};

}  // namespace likeness
