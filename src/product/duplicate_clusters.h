// The duplicates within a collection, as clusters that do not chain.
//
// SAME is not transitive: the left and the right half of a photograph are both the same as the whole, and have nothing
// in common. So a cluster has a representative, and each of its members is SAME with that one, not with a member only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/status.h"
#include "feature/vocabulary.h"
#include "product/duplicate_finder.h"

namespace likeness {

// Two documents that are SAME; `evidence` has `a` as its query.
struct SamePair {
  uint64_t a = 0;
  uint64_t b = 0;
  float score = 0;
  DuplicateEvidence evidence;
};

struct DuplicateCluster {
  uint64_t representative = 0;
  struct Member {
    uint64_t document = 0;
    float score = 0;
    DuplicateEvidence evidence;  // the member as query, the representative as document
  };
  std::vector<Member> members;  // at least one, by falling score, ties by document
};

// `weights[document]`: what speaks for a document as representative; its number of pixels, say. Documents are taken by
// falling weight (ties: more pairs, then the lower number); one that is in no cluster yet becomes the representative of
// all that are SAME with it and in none. Every document is in one cluster at most. A pair may be given both ways
// around. By falling number of members, ties by representative. REQUIRES: documents < weights.size()
std::vector<DuplicateCluster> ClusterDuplicates(std::span<const SamePair> pairs, std::span<const uint64_t> weights);

// The same evidence with query and document exchanged.
DuplicateEvidence Reversed(const DuplicateEvidence& evidence);

struct FindPairsOptions {
  DuplicateFindOptions find;
  size_t threads = 1;
  std::function<void(uint64_t done, uint64_t total)> progress;  // may be null; one thread at a time
  const std::atomic<bool>* stop = nullptr;                      // may be null; what was found so far is returned
  std::function<bool(uint64_t)> allowed;                        // may be null: every document
  // Documents that were asked before are not asked again: `before` has what they found. Both may be null or empty.
  std::function<bool(uint64_t)> known;
  std::vector<SamePair> before;
  // Told of each document that was asked, with what is SAME; may be null; one thread at a time.
  std::function<void(uint64_t document, std::span<const SamePair> found)> asked;
};

// All pairs of the finder's collection that are SAME, each once, by the surer of both ways around. Documents that
// cannot be read are counted in `unreadable` and have no pairs.
struct FoundPairs {
  std::vector<SamePair> pairs;
  uint64_t asked = 0;  // documents, those that cannot be read included
  uint64_t unreadable = 0;
  bool complete = true;  // false: stopped
};
FoundPairs FindSamePairs(const DuplicateFinder& finder, const Vocabulary& vocabulary, const FindPairsOptions& options);

}  // namespace likeness
