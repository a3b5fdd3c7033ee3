// The duplicates of a picture among those that no release has yet: what was uploaded a moment ago is known, too.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "feature/vocabulary.h"
#include "index/snapshot.h"
#include "pipeline/home.h"
#include "pipeline/young.h"
#include "product/duplicate_finder.h"
#include "rank/leaf.h"
#include "types/signature.h"

namespace likeness {

// Constant after Make; any thread. There are some thousands of such pictures at most, so it is made anew when they
// change: 32 bytes a picture are copied. Documents are the ordinals of snapshot().
class YoungDuplicates {
 public:
  // `served`: a snapshot with young segments behind its own; `allowed`: beside its segments, or empty (all); `objects`:
  // that have the features of the young pictures; without its keypoints a picture is not found. `home` must outlive it.
  // Errors: DataLoss for damaged keypoints, where a segment has no token index.
  static absl::StatusOr<std::unique_ptr<YoungDuplicates>> Make(
      Home& home, const Vocabulary& vocabulary, std::shared_ptr<const Snapshot> served, const AllowedDocs& allowed,
      std::span<const std::shared_ptr<const YoungObject>> objects);
  ~YoungDuplicates();

  const Snapshot& snapshot() const { return *snapshot_; }  // of the young segments alone

  // `except`, say the query itself, is passed over.
  DuplicateAnswer Find(const DuplicateQuery& query, const DuplicateFindOptions& options = {},
                       std::optional<Signature> except = std::nullopt) const;

 private:
  class Source;
  YoungDuplicates();

  std::shared_ptr<const Snapshot> served_;  // has the token indexes
  std::shared_ptr<const Snapshot> snapshot_;
  AllowedDocs allowed_;  // beside its segments
  std::unique_ptr<Source> source_;
  std::unique_ptr<WordSource> words_;  // null where the finder has lists of its own
  std::unique_ptr<DuplicateFinder> finder_;
};

}  // namespace likeness
