#include "product/duplicate_finder.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "base/thread_pool.h"
#include "kernel/hamming.h"

namespace likeness {
namespace {

constexpr size_t kHashWords = PdqHash::kBits / 64;
constexpr size_t kHashParts = 4;  // that threads share

DuplicateDocument ViewOf(const DuplicateRecord& record) {
  return {record.width, record.height, record.hash, record.local};
}

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

struct DuplicateFinder::Candidate {
  uint64_t document = 0;
  DuplicateRecord record;
  std::vector<Alignment> alignments;
  // Which are looked at first when not all are: by keypoints or bits, whichever is the stronger.
  float promise = 0;
};

std::string_view DuplicateStageName(DuplicateTrace::Stage stage) {
  constexpr std::array<std::string_view, 6> kNames = {"candidates", "verification", "order",
                                                      "reading",    "verdict",      "found"};
  return kNames[static_cast<size_t>(stage)];
}

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

std::vector<uint64_t> DuplicateFinder::HashKeys(const DuplicateQuery& query, size_t most, uint32_t most_distance,
                                                size_t part) const {
  if (query.quality() == 0 || hashed_.empty()) return {};
  std::vector<uint64_t> forms;
  for (const PdqHash& form : query.forms()) forms.insert(forms.end(), form.words.begin(), form.words.end());
  std::vector<TopK> best(kDihedralForms, TopK(most, RankedKey(most_distance + 1, 0)));
  const HammingRange range{hashed_.size() * part / kHashParts, hashed_.size() * (part + 1) / kHashParts};
  HammingNearestBatch({hashes_, kHashWords}, {forms, kHashWords}, range, best);
  std::vector<uint64_t> keys;
  for (const TopK& nearest : best) keys.insert(keys.end(), nearest.keys().begin(), nearest.keys().end());
  return keys;
}

std::vector<uint64_t> DuplicateFinder::ByHash(std::vector<uint64_t> keys, size_t most) const {
  std::ranges::sort(keys);
  std::vector<uint64_t> documents;
  for (const uint64_t key : keys) {
    const uint64_t document = hashed_[RowOf(key)];
    if (std::ranges::find(documents, document) == documents.end()) documents.push_back(document);
    if (documents.size() == most) break;
  }
  return documents;
}

DuplicateFinder::Sources DuplicateFinder::Candidates(const DuplicateQuery& query,
                                                     const DuplicateFindOptions& options) const {
  Sources sources;
  // The two longest first, so that what is short fills up the time of the threads.
  std::array<std::vector<uint64_t>, kHashParts> keys;
  ParallelFor(2 + kHashParts, std::max<size_t>(1, options.threads), [&](size_t i) {
    if (i >= 2) {
      keys[i - 2] = HashKeys(query, options.most_by_hash, options.verdict.most_hash_distance, i - 2);
      return;
    }
    const VerifyQuery& side = i == 0 ? query.as_is_nearest() : query.mirrored_nearest();
    if (side.empty()) return;
    for (const WordCandidate& found : words_->Find(side, options.most_by_words)) sources[i].push_back(found.document);
  });
  std::vector<uint64_t> all;
  for (const std::vector<uint64_t>& some : keys) all.insert(all.end(), some.begin(), some.end());
  sources[2] = ByHash(std::move(all), options.most_by_hash);
  return sources;
}

std::vector<DuplicateFinder::Candidate> DuplicateFinder::Verified(const DuplicateQuery& query, const Sources& sources,
                                                                  const DuplicateFindOptions& options,
                                                                  const std::function<bool(uint64_t)>& allowed,
                                                                  DuplicateAnswer& answer) const {
  std::vector<uint64_t> documents;
  for (const std::vector<uint64_t>& source : sources) documents.insert(documents.end(), source.begin(), source.end());
  std::ranges::sort(documents);
  documents.erase(std::ranges::unique(documents).begin(), documents.end());
  if (allowed) std::erase_if(documents, [&](uint64_t document) { return !allowed(document); });

  std::vector<std::optional<Candidate>> verified(documents.size());
  ParallelFor(documents.size(), std::max<size_t>(1, options.threads), [&](size_t i) {
    absl::StatusOr<DuplicateRecord> record = source_.Read(documents[i]);
    if (!record.ok()) return;
    Candidate& candidate = verified[i].emplace();
    candidate.document = documents[i];
    candidate.record = *std::move(record);
    candidate.alignments = ProposeAlignments(query, ViewOf(candidate.record), options.verdict);
    candidate.promise = PromiseOf(candidate.alignments);
  });
  std::vector<Candidate> candidates;
  for (std::optional<Candidate>& candidate : verified) {
    ++(candidate ? answer.verified : answer.unreadable);
    if (candidate && !candidate->alignments.empty()) candidates.push_back(*std::move(candidate));
  }
  std::ranges::stable_sort(candidates, std::greater<>(), &Candidate::promise);
  return candidates;
}

DuplicateAnswer DuplicateFinder::Find(const DuplicateQuery& query, const DuplicateFindOptions& options,
                                      const std::function<bool(uint64_t)>& allowed) const {
  DuplicateAnswer answer;
  const size_t threads = std::max<size_t>(1, options.threads);
  std::vector<Candidate> candidates = Verified(query, Candidates(query, options), options, allowed, answer);
  if (candidates.size() > options.most_compared) candidates.resize(options.most_compared);
  std::vector<std::optional<DuplicateJudgement>> judged(candidates.size());
  ParallelFor(candidates.size(), threads, [&](size_t i) {
    const absl::StatusOr<Pixels> pixels = source_.ReadPixels(candidates[i].document);
    if (!pixels.ok()) return;
    const absl::StatusOr<Thumbnail> thumbnail = Thumbnail::Of(*pixels);
    if (!thumbnail.ok()) return;
    judged[i] = JudgeDuplicate(query, ViewOf(candidates[i].record), candidates[i].alignments, *thumbnail);
  });
  for (size_t i = 0; i < candidates.size(); ++i) {
    ++(judged[i] ? answer.compared : answer.unreadable);
    if (!judged[i]) continue;
    if (judged[i]->verdict == DuplicateVerdict::kDifferent && !options.keep_different) continue;
    answer.matches.push_back(
        {candidates[i].document, judged[i]->verdict, judged[i]->score, std::move(judged[i]->evidence)});
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

absl::StatusOr<DuplicateTrace> DuplicateFinder::Trace(const DuplicateQuery& query, uint64_t document,
                                                      const DuplicateFindOptions& options) const {
  using Stage = DuplicateTrace::Stage;
  DuplicateTrace trace;
  LIKENESS_ASSIGN_OR_RETURN(const DuplicateRecord record, source_.Read(document));
  const Sources sources = Candidates(query, options);
  const auto place_in = [&](const std::vector<uint64_t>& documents) -> std::optional<size_t> {
    const auto found = std::ranges::find(documents, document);
    if (found == documents.end()) return std::nullopt;
    return static_cast<size_t>(found - documents.begin());
  };
  trace.by_words = place_in(sources[0]);
  trace.by_mirrored_words = place_in(sources[1]);
  trace.by_hash = place_in(sources[2]);
  trace.alignments = ProposeAlignments(query, ViewOf(record), options.verdict);
  DuplicateAnswer counts;
  const std::vector<Candidate> candidates = Verified(query, sources, options, nullptr, counts);
  if (const auto found = std::ranges::find(candidates, document, &Candidate::document); found != candidates.end()) {
    trace.place = static_cast<size_t>(found - candidates.begin());
  }
  const absl::StatusOr<Pixels> pixels = source_.ReadPixels(document);
  const absl::StatusOr<Thumbnail> thumbnail = pixels.ok() ? Thumbnail::Of(*pixels) : pixels.status();
  if (thumbnail.ok()) trace.judgement = JudgeDuplicate(query, ViewOf(record), trace.alignments, *thumbnail);
  const bool candidate = trace.by_words || trace.by_mirrored_words || trace.by_hash;
  trace.stage = !candidate                                              ? Stage::kCandidates
                : trace.alignments.empty()                              ? Stage::kVerification
                : !trace.place || *trace.place >= options.most_compared ? Stage::kOrder
                : !thumbnail.ok()                                       ? Stage::kReading
                : trace.judgement.verdict != DuplicateVerdict::kSame    ? Stage::kVerdict
                                                                        : Stage::kFound;
  return trace;
}

}  // namespace likeness
