// The duplicates of a picture in a collection.
//
//   hash, eight forms, and visual words -> candidates -> keypoints verified -> pixels compared -> SAME, SIMILAR
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
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

// What became of one document on the way to the verdict: where a duplicate that is not found is lost.
struct DuplicateTrace {
  enum class Stage { kCandidates, kVerification, kOrder, kReading, kVerdict, kFound };
  Stage stage = Stage::kCandidates;                            // that lost it; kFound: it is SAME
  std::optional<size_t> by_words, by_mirrored_words, by_hash;  // its place among the candidates, from 0
  std::vector<Alignment> alignments;                           // also where it is no candidate
  std::optional<size_t> place;                                 // in the order in which pixels are compared
  DuplicateJudgement judgement;  // also where it would not have been judged; empty where it has no alignments
};
// "candidates", "verification", "order", "reading", "verdict", "found"
std::string_view DuplicateStageName(DuplicateTrace::Stage stage);

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

  // How Find comes to its verdict about one document. Errors: those of Read.
  absl::StatusOr<DuplicateTrace> Trace(const DuplicateQuery& query, uint64_t document,
                                       const DuplicateFindOptions& options = {}) const;

  const DuplicateSource& source() const { return source_; }

 private:
  struct Candidate;
  // Documents by words, by the mirror image's words and by hash, best first each.
  using Sources = std::array<std::vector<uint64_t>, 3>;

  explicit DuplicateFinder(const DuplicateSource& source) : source_(source) {}
  Sources Candidates(const DuplicateQuery& query, const DuplicateFindOptions& options) const;
  // Those of them that may lie upon the query somehow, the most promising first.
  std::vector<Candidate> Verified(const DuplicateQuery& query, const Sources& sources,
                                  const DuplicateFindOptions& options, const std::function<bool(uint64_t)>& allowed,
                                  DuplicateAnswer& answer) const;
  // The nearest hashes within part `part` of kHashParts, for each form of the query's hash.
  std::vector<uint64_t> HashKeys(const DuplicateQuery& query, size_t most, uint32_t most_distance, size_t part) const;
  // The documents of the nearest, each once.
  std::vector<uint64_t> ByHash(std::vector<uint64_t> keys, size_t most) const;

  const DuplicateSource& source_;
  const WordSource* words_ = nullptr;
  std::unique_ptr<WordLists> lists_;  // where words_ is ours
  std::vector<uint64_t> hashes_;      // [n, 4]
  std::vector<uint32_t> hashed_;      // [n]: whose they are
};

}  // namespace likeness
