#include "product/duplicate_finder.h"

#include <algorithm>
#include <string>
#include <tuple>

#include "kernel/hamming.h"

namespace likeness {
namespace {

constexpr size_t kHashWords = PdqHash::kBits / 64;

DuplicateDocument ViewOf(const DuplicateRecord& record) {
  return {record.width, record.height, record.hash, record.local};
}

struct Candidate {
  uint64_t document = 0;
  DuplicateRecord record;
  std::vector<Alignment> alignments;
  // Which are looked at first when not all are: by keypoints or bits, whichever is the stronger.
  float promise = 0;
};

float PromiseOf(std::span<const Alignment> alignments) {
  float promise = 0;
  for (const Alignment& alignment : alignments) {
    const float value = alignment.distance ? 100.0f - static_cast<float>(*alignment.distance)
                                           : 4.0f * static_cast<float>(alignment.inliers);
    promise = std::max(promise, value);
  }
  return promise;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DuplicateFinder>> DuplicateFinder::Make(
    const DuplicateSource& source, const WordSource* words,
    const std::function<void(uint64_t done, uint64_t total)>& progress) {
  auto finder = std::unique_ptr<DuplicateFinder>(new DuplicateFinder(source));
  if (words == nullptr) finder->lists_ = std::make_unique<WordLists>();
  const uint64_t count = source.doc_count();
  for (uint64_t document = 0; document < count; ++document) {
    if (const std::optional<PdqValue> hash = source.Hash(document)) {
      finder->hashes_.insert(finder->hashes_.end(), hash->hash.words.begin(), hash->hash.words.end());
      finder->hashed_.push_back(static_cast<uint32_t>(document));
    }
    if (finder->lists_ == nullptr) continue;
    LIKENESS_ASSIGN_OR_RETURN(const DuplicateRecord record, source.Read(document));
    finder->lists_->Add(static_cast<uint32_t>(document), record.local);
    if (progress) progress(document + 1, count);
  }
  if (finder->lists_ != nullptr) finder->lists_->Finish();
  finder->words_ = words != nullptr ? words : finder->lists_.get();
  return finder;
}

std::vector<uint64_t> DuplicateFinder::ByHash(const DuplicateQuery& query, size_t most, uint32_t most_distance) const {
  if (query.quality() == 0 || hashed_.empty()) return {};
  const CodeRows codes{hashes_, kHashWords};
  std::vector<uint64_t> keys;
  for (const PdqHash& form : query.forms()) {
    TopK best(most, RankedKey(most_distance + 1, 0));
    HammingNearest(codes, form.words, {}, best);
    keys.insert(keys.end(), best.keys().begin(), best.keys().end());
  }
  std::ranges::sort(keys);
  std::vector<uint64_t> documents;
  for (const uint64_t key : keys) {
    const uint64_t document = hashed_[RowOf(key)];
    if (std::ranges::find(documents, document) == documents.end()) documents.push_back(document);
    if (documents.size() == most) break;
  }
  return documents;
}

DuplicateAnswer DuplicateFinder::Find(const DuplicateQuery& query, const DuplicateFindOptions& options,
                                      const std::function<bool(uint64_t)>& allowed) const {
  DuplicateAnswer answer;
  std::vector<uint64_t> documents = ByHash(query, options.most_by_hash, options.verdict.most_hash_distance);
  for (const VerifyQuery* side : {&query.as_is(), &query.mirrored()}) {
    if (side->empty()) continue;
    for (const WordCandidate& found : words_->Find(*side, options.most_by_words)) documents.push_back(found.document);
  }
  std::ranges::sort(documents);
  documents.erase(std::ranges::unique(documents).begin(), documents.end());

  std::vector<Candidate> candidates;
  for (const uint64_t document : documents) {
    if (allowed && !allowed(document)) continue;
    absl::StatusOr<DuplicateRecord> record = source_.Read(document);
    if (!record.ok()) {
      ++answer.unreadable;
      continue;
    }
    ++answer.verified;
    Candidate candidate;
    candidate.document = document;
    candidate.record = *std::move(record);
    candidate.alignments = ProposeAlignments(query, ViewOf(candidate.record), options.verdict);
    if (candidate.alignments.empty()) continue;
    candidate.promise = PromiseOf(candidate.alignments);
    candidates.push_back(std::move(candidate));
  }
  std::ranges::stable_sort(candidates, std::greater<>(), &Candidate::promise);
  if (candidates.size() > options.most_compared) candidates.resize(options.most_compared);
  for (const Candidate& candidate : candidates) {
    const absl::StatusOr<Pixels> pixels = source_.ReadPixels(candidate.document);
    absl::StatusOr<Thumbnail> thumbnail =
        pixels.ok() ? Thumbnail::Of(*pixels) : absl::StatusOr<Thumbnail>(pixels.status());
    if (!thumbnail.ok()) {
      ++answer.unreadable;
      continue;
    }
    ++answer.compared;
    DuplicateJudgement judgement = JudgeDuplicate(query, ViewOf(candidate.record), candidate.alignments, *thumbnail);
    if (judgement.verdict == DuplicateVerdict::kDifferent && !options.keep_different) continue;
    answer.matches.push_back({candidate.document, judgement.verdict, judgement.score, std::move(judgement.evidence)});
  }
  std::ranges::sort(answer.matches, {}, [](const DuplicateMatch& match) {
    return std::tuple(-static_cast<int>(match.verdict), -match.score, match.document);
  });
  return answer;
}

absl::StatusOr<DuplicateJudgement> DuplicateFinder::Judge(const DuplicateQuery& query, uint64_t document,
                                                          const VerdictOptions& options) const {
  LIKENESS_ASSIGN_OR_RETURN(const DuplicateRecord record, source_.Read(document));
  const DuplicateDocument view = ViewOf(record);
  const std::vector<Alignment> alignments = ProposeAlignments(query, view, options);
  LIKENESS_ASSIGN_OR_RETURN(const Pixels pixels, source_.ReadPixels(document));
  LIKENESS_ASSIGN_OR_RETURN(const Thumbnail thumbnail, Thumbnail::Of(pixels));
  return JudgeDuplicate(query, view, alignments, thumbnail);
}

}  // namespace likeness
