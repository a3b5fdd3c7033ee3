// The duplicates of a collection's current release: what the command line and the server ask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "feature/vocabulary.h"
#include "index/snapshot.h"
#include "pipeline/home.h"
#include "product/duplicate_clusters.h"
#include "product/duplicate_finder.h"
#include "product/duplicate_log.h"
#include "types/signature.h"

namespace likeness {

// Constant after Open; any thread. Documents are the snapshot's ordinals.
class CollectionDuplicates {
 public:
  // Opens the current release, its stored features and the vocabulary, and holds the hashes (32 bytes an image) in
  // memory. Visual words are asked of the release's token indexes; where a segment has none, they are held in memory,
  // too (12 bytes a keypoint). `home` must outlive it.
  // Errors: FailedPrecondition when nothing is indexed, or the release has no hashes or local features of this program
  // and vocabulary; those of the store.
  static absl::StatusOr<std::unique_ptr<CollectionDuplicates>> Open(
      Home& home, const std::function<void(uint64_t done, uint64_t total)>& progress = nullptr);
  ~CollectionDuplicates();

  const Snapshot& snapshot() const { return *snapshot_; }
  const DuplicateFinder& finder() const { return *finder_; }
  const Vocabulary& vocabulary() const { return *vocabulary_; }
  Signature signature(uint64_t document) const { return snapshot_->signature(snapshot_->At(document)); }

  // Of a picture's file. Errors: data errors of DecodeImage.
  absl::StatusOr<DuplicateQuery> QueryOf(std::span<const std::byte> image) const;
  // Of an image of the release. Errors: NotFound; those of reading it.
  absl::StatusOr<DuplicateQuery> QueryOf(const Signature& signature) const;

  // Images whose pins are gone are not found. `except`, say the query itself, is passed over.
  DuplicateAnswer Find(const DuplicateQuery& query, const DuplicateFindOptions& options = {},
                       std::optional<Signature> except = std::nullopt) const;

  // What runs before found by the same rules, in HOME/duplicates; `again`: forgets it. Errors: those of the log.
  absl::StatusOr<std::unique_ptr<DuplicateLog>> OpenLog(bool again = false) const;

  // All clusters; the image with the most pixels represents its cluster. FindPairsOptions::allowed, known, before and
  // asked are set here. Images that `log` (may be null) has are not asked again: those that came since ask all, so that
  // every pair of images was asked for by one of them at least, but for images whose pins went and came back meanwhile.
  struct Clusters {
    std::vector<DuplicateCluster> clusters;
    uint64_t images = 0;  // of the release, without those whose pins are gone
    uint64_t asked = 0;   // this time
    uint64_t pairs = 0;   // that are SAME
    uint64_t unreadable = 0;
    bool complete = true;
  };
  Clusters FindClusters(FindPairsOptions options, DuplicateLog* log = nullptr) const;

 private:
  class Source;
  CollectionDuplicates();
  // Sets what `log` knows, and has it told what is found.
  void Remember(DuplicateLog& log, FindPairsOptions& options) const;

  std::shared_ptr<const Snapshot> snapshot_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<WordSource> words_;  // null where the finder has lists of its own
  std::unique_ptr<DuplicateFinder> finder_;
  std::vector<bool> visible_;  // [documents]; empty: all are
};

}  // namespace likeness
