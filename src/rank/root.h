// The root ranker: asks the leaves, merges what they answer, puts near-duplicates together, and leaves out what does
// not hold up (paper, sections 2.3 and 3).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "index/snapshot.h"
#include "rank/leaf.h"
#include "rank/query.h"

namespace likeness {

class FloorModel;

// What the root does with the merged list, in this order. The default is nothing but the merge. A query that weighs
// Signal::kTopic gets it here, after the collapse: the score grows by it, and hits are put in order anew.
struct RootOptions {
  // Hits that show the same picture become one, with the others as its duplicates. Needs a hash or codes.
  struct Collapse {
    std::optional<FeatureKey> hash = {};  // the plain feature that is PDQ
    bool code = true;
  };
  std::optional<Collapse> collapse = {};

  // Gives hits a probability; null: they get none. Constant; any thread.
  std::shared_ptr<const FloorModel> floor_model = {};
  std::optional<double> floor = {};  // hits below that probability are left out

  // Hits that conform less are left out, and all of them where the answer as a whole does; in [0, 1]
  // (rank/conformity.h).
  std::optional<double> conformity = {};

  uint64_t images = 0;  // in the whole collection, for the background sample and the share of each segment
};

// Why hits were left out.
struct LeftOut {
  size_t below_floor = 0;
  size_t not_conforming = 0;
  size_t collapsed = 0;  // they are among the duplicates of a hit
};

struct RootAnswer {
  std::vector<Hit> hits;  // best first, ties by signature, every image once; at most query.k
  Coverage coverage;
  LeftOut left_out;
  // How far looks and words of the answer go together, in [0, 1]; none when it was not asked for or hardly any hit has
  // words.
  std::optional<float> conformity;
};

// Puts one query to all leaves and merges what they say (MergeAnswers). The deadline is the query's.
using AskLeaves = std::function<absl::StatusOr<LeafAnswer>(const VisualQuery&)>;

// The whole of the root but the asking: whoever asks, in one process or over many, gets the same bytes for the same
// answers. Asks more than once only when what was left out leaves fewer than query.k hits and the leaves have more.
// query.traits, background_below and collection are set here. Errors: those of `ask`.
absl::StatusOr<RootAnswer> AnswerRoot(const AskLeaves& ask, const VisualQuery& query, const RootOptions& options = {});

// AnswerRoot with the segments of a snapshot in this process. Errors: those of AnswerLeaf.
absl::StatusOr<RootAnswer> SearchRoot(const Snapshot& snapshot, const VisualQuery& query, const AllowedDocs& allowed,
                                      size_t threads, const RootOptions& options = {});

}  // namespace likeness
