// The duplicates of a picture in a collection.
//
//   hash, eight forms, and visual words -> candidates -> keypoints verified -> pixels compared -> SAME, SIMILAR
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "product/duplicate_query.h"
#include "product/duplicate_verdict.h"
#include "product/word_lists.h"
#include "types/local_feature.h"

namespace likeness {

// What is stored of a document.
struct DuplicateRecord {
  uint32_t width = 0;  // pixels of the upright original
  uint32_t height = 0;
  std::optional<PdqValue> hash;
  std::vector<LocalFeature> local;  // by word; empty: it has none
};

// A collection as the finder sees it: documents are numbered from 0 without gaps (a snapshot's ordinals). Any thread.
class DuplicateSource {
 public:
  virtual ~DuplicateSource() = default;
  virtual uint64_t doc_count() const = 0;
  // All of these: REQUIRES: document < doc_count()
  virtual std::optional<PdqValue> Hash(uint64_t document) const = 0;
  virtual absl::StatusOr<DuplicateRecord> Read(uint64_t document) const = 0;
  // The picture, decoded with kStandardSize. Errors: it cannot be read.
  virtual absl::StatusOr<Pixels> ReadPixels(uint64_t document) const = 0;
};

struct DuplicateFindOptions {
  size_t most_by_words = 40;  // candidates that are verified, as it is and mirrored each
  size_t most_by_hash = 20;
  size_t most_compared = 12;    // whose pixels are read
  size_t threads = 1;           // for this one query
  bool keep_different = false;  // compared documents are all told, DIFFERENT ones too
  VerdictOptions verdict;
};

struct DuplicateMatch {
  uint64_t document = 0;
  DuplicateVerdict verdict = DuplicateVerdict::kSimilar;
  float score = 0;  // DuplicateJudgement
  DuplicateEvidence evidence;
};

struct DuplicateAnswer {
  std::vector<DuplicateMatch> matches;  // SAME before SIMILAR, then by falling score, ties by document
  size_t verified = 0;                  // documents whose keypoints were compared
  size_t compared = 0;                  // whose pixels were
  size_t unreadable = 0;                // that could not be read: they are no matches
};

// Constant after Make; any thread.
class DuplicateFinder {
 public:
  // Gathers hashes, and the visual words too where `words` is null. `source` and `words` must outlive the finder.
  // Errors: those of Read.
  static absl::StatusOr<std::unique_ptr<DuplicateFinder>> Make(
      const DuplicateSource& source, const WordSource* words = nullptr,
      const std::function<void(uint64_t done, uint64_t total)>& progress = nullptr);

  // `allowed` (may be null): documents that may be found.
  DuplicateAnswer Find(const DuplicateQuery& query, const DuplicateFindOptions& options = {},
                       const std::function<bool(uint64_t)>& allowed = nullptr) const;

  // One pair. Errors: those of ReadPixels.
  absl::StatusOr<DuplicateJudgement> Judge(const DuplicateQuery& query, uint64_t document,
                                           const VerdictOptions& options = {}) const;

  const DuplicateSource& source() const { return source_; }

 private:
  explicit DuplicateFinder(const DuplicateSource& source) : source_(source) {}
  std::vector<uint64_t> ByHash(const DuplicateQuery& query, size_t most, uint32_t most_distance) const;

  const DuplicateSource& source_;
  const WordSource* words_ = nullptr;
  std::unique_ptr<WordLists> lists_;  // where words_ is ours
  std::vector<uint64_t> hashes_;      // [n, 4]
  std::vector<uint32_t> hashed_;      // [n]: whose they are
};

}  // namespace likeness
