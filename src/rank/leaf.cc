#include "rank/leaf.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "kernel/dot.h"
#include "kernel/hamming.h"
#include "rank/signals.h"
#include "rank/token_candidates.h"

namespace likeness {
namespace {

// A candidate that was compared with the query.
struct Refined {
  DocId doc;
  Distance distance;
  Score score = {};
  SignalValues signals;
  const TokenEvidence* tokens = nullptr;
};

// How many candidates a segment of so many documents refines.
size_t CandidatesOf(const VisualQuery& query, size_t documents) {
  const size_t all = query.refine_factor * query.k;
  if (!query.collection || documents >= *query.collection) return std::max(query.refine_least, all);
  // So many of the best `all` lie in this segment in the mean, and hardly ever more than four standard deviations
  // above; for pictures that belong together and came together, twice the hits that are wanted at least.
  const double mean =
      static_cast<double>(all) * static_cast<double>(documents) / static_cast<double>(*query.collection);
  const auto share = static_cast<size_t>(std::ceil(mean + 4 * std::sqrt(mean)));
  return std::max(query.refine_least, std::min(all, std::max(share, 2 * query.k)));
}

// Documents that visual words find are candidates too, which the codes need not have found.
void AddByTokens(const std::vector<TokenCandidate>& by_tokens, const DeepColumn& column, std::span<const uint64_t> code,
                 std::vector<Neighbor>& candidates) {
  if (by_tokens.empty()) return;
  std::vector<DocId> known;
  for (const Neighbor& one : candidates) known.push_back(one.doc);
  std::ranges::sort(known);
  for (const TokenCandidate& one : by_tokens) {
    if (!column.has(one.doc) || std::ranges::binary_search(known, one.doc)) continue;
    candidates.push_back({Distance{HammingDistance(code, column.code(one.doc))}, one.doc});
  }
}

const TokenEvidence* Find(const std::vector<TokenCandidate>& by_tokens, DocId doc) {
  const auto found = std::ranges::lower_bound(by_tokens, doc, {}, &TokenCandidate::doc);
  return found == by_tokens.end() || found->doc != doc ? nullptr : &found->evidence;
}

// The next vector comes from memory while this one is compared.
void Prefetch(std::span<const int8_t> vector) {
  for (size_t i = 0; i < vector.size(); i += 64) __builtin_prefetch(vector.data() + i, 0, 3);
}

float MatchOf(const PlainColumn* column, DocId doc, const PlainMatcher& match) {
  return column != nullptr && column->has(doc) ? ClampSignal(match(column->value(doc)), 0) : 0;
}

PlainEvidence Judge(const PlainColumn* column, DocId doc, const FeatureKey& feature, const PlainMatcher& match) {
  PlainEvidence evidence{feature, 0, {}};
  if (column == nullptr || !column->has(doc)) return evidence;
  evidence.match = MatchOf(column, doc, match);
  evidence.value = AsText(column->value(doc));
  return evidence;
}

HitTraits TraitsOf(const LeafSegment& leaf, DocId doc, const VisualQuery& query) {
  HitTraits traits;
  if (query.traits.hash) traits.hash = HashOf(leaf.segment->plain(*query.traits.hash), doc);
  if (query.traits.code) {
    const DeepColumn* column = leaf.segment->deep(query.feature);
    if (column != nullptr && column->has(doc)) {
      const auto code = column->code(doc);
      traits.code.assign(code.begin(), code.end());
    }
  }
  if (query.traits.words) traits.words = AnnotationsOf(leaf.metadata, doc);
  return traits;
}

// The documents that meet the wish, of all. The deadline is looked at every so many.
std::vector<Hit> SearchByWish(const LeafSegment& leaf, const VisualQuery& query, const PlainMatcher& match,
                              const DocSet* allowed, SearchStats& stats) {
  constexpr size_t kStep = 2048;
  const Segment& segment = *leaf.segment;
  stats.documents += segment.doc_count();
  const PlainColumn* column = segment.plain(query.wish->feature);
  if (column == nullptr) {
    stats.scanned += segment.doc_count();
    return {};
  }
  std::vector<std::pair<float, uint32_t>> found;  // the match, negated so that the best sort first
  size_t doc = 0;
  for (; doc < segment.doc_count(); ++doc) {
    if (doc % kStep == 0 && doc > 0 && query.deadline.Passed()) break;
    const DocId id(static_cast<uint32_t>(doc));
    if (!column->has(id) || (allowed != nullptr && !allowed->Test(id))) continue;
    const float met = match(column->value(id));
    if (met > 0) found.emplace_back(-met, id.value());
  }
  stats.scanned += doc;
  const size_t kept = std::min(query.k, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(kept), found.end());
  std::vector<Hit> hits;
  for (size_t i = 0; i < kept; ++i) {
    const DocId id(found[i].second);
    const Segment::Size size = segment.size(id);
    PlainEvidence evidence = Judge(column, id, query.wish->feature, match);
    const Score score{evidence.match};
    hits.push_back({segment.signature(id),
                    size.width,
                    size.height,
                    score,
                    {{}, {}, 0, {}, std::move(evidence)},
                    TraitsOf(leaf, id, query)});
  }
  return hits;
}

void CompareWithBackground(const LeafSegment& leaf, const DeepColumn& column, const VisualQuery& query,
                           Background& background) {
  for (uint32_t i = 0; i < leaf.segment->doc_count(); ++i) {
    const DocId doc(i);
    const auto& bytes = leaf.segment->signature(doc).bytes;
    uint64_t head = 0;
    for (size_t b = 0; b < 4; ++b) head = head << 8 | std::to_integer<uint64_t>(bytes[b]);
    if (head >= query.background_below) break;  // Signatures ascend.
    if (!column.has(doc)) continue;
    const float cosine = Int8Cosine(query.code.vector, query.code.norm, column.vector(doc), column.norm(doc));
    const auto fixed = static_cast<int64_t>(std::lround(static_cast<double>(cosine) / Background::kUnit));
    ++background.count;
    background.sum += fixed;
    background.squares += fixed * fixed >> 20;
  }
}

absl::Status Check(const VisualQuery& query) {
  if (!query.wish && query.code.code.empty()) {
    return absl::InvalidArgumentError("the query has neither a picture's code nor a wish");
  }
  for (const float weight : query.weights.values) {
    if (!std::isfinite(weight)) return absl::InvalidArgumentError("a ranking weight is not a finite number");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Hit>> SearchLeaf(const LeafSegment& leaf, const VisualQuery& query, const DocSet* allowed,
                                            SearchStats& stats, Background* background) {
  LIKENESS_RETURN_IF_ERROR(Check(query));
  const Segment& segment = *leaf.segment;
  PlainMatcher match;
  if (query.wish) {
    LIKENESS_ASSIGN_OR_RETURN(match, MatcherOf(*query.wish));
  }
  if (query.code.code.empty()) return SearchByWish(leaf, query, match, allowed, stats);
  const DeepColumn* column = segment.deep(query.feature);
  if (column == nullptr) {
    stats.documents += segment.doc_count();
    stats.scanned += segment.doc_count();
    return std::vector<Hit>();
  }
  if (query.code.vector.size() != column->shape.dimension) {
    return absl::InvalidArgumentError("the query's vector has " + std::to_string(query.code.vector.size()) +
                                      " components, the index's have " + std::to_string(column->shape.dimension));
  }
  NearestOptions options;
  options.k = CandidatesOf(query, segment.doc_count());
  if (query.wish) options.k = std::max(options.k, query.wish->refine_least);
  options.allowed = allowed;
  options.deadline = query.deadline;
  options.effort = query.effort;
  LIKENESS_ASSIGN_OR_RETURN(std::vector<Neighbor> candidates, NearestCodes(*column, query.code.code, options, stats));
  absl::StatusOr<std::vector<TokenCandidate>> by_tokens = FindByTokens(leaf, query, allowed);
  // The look alone answers, too.
  if (!by_tokens.ok()) Log(LogLevel::kWarning, "token_index_unread", {{"reason", MessageOf(by_tokens.status())}});
  const bool asked_tokens = AsksTokens(leaf, query) && by_tokens.ok();
  if (asked_tokens) AddByTokens(*by_tokens, *column, query.code.code, candidates);
  if (background != nullptr) CompareWithBackground(leaf, *column, query, *background);
  const PlainColumn* const plain = query.wish ? segment.plain(query.wish->feature) : nullptr;
  const SignalReader signals(leaf, query, *column);
  std::vector<Refined> refined;
  refined.reserve(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (i + 1 < candidates.size()) Prefetch(column->vector(candidates[i + 1].doc));
    Refined one{.doc = candidates[i].doc, .distance = candidates[i].distance, .signals = signals.Read(candidates[i])};
    if (asked_tokens) {
      one.tokens = Find(*by_tokens, one.doc);
      one.signals.Set(Signal::kTokens, one.tokens == nullptr ? 0 : TokenSignal(one.tokens->verified));
    }
    one.score.value = query.weights.Score(one.signals);
    if (query.wish) {
      const float weight = std::clamp(query.wish->weight, 0.0f, 1.0f);
      one.score.value = (1 - weight) * one.score.value + weight * MatchOf(plain, one.doc, match);
    }
    refined.push_back(one);
  }
  // Signatures ascend with documents.
  const size_t kept = std::min(query.k, refined.size());
  std::partial_sort(
      refined.begin(), refined.begin() + static_cast<std::ptrdiff_t>(kept), refined.end(),
      [](const Refined& a, const Refined& b) { return a.score != b.score ? a.score > b.score : a.doc < b.doc; });
  std::vector<Hit> hits;
  hits.reserve(kept);
  for (const Refined& one : std::span(refined).first(kept)) {
    Hit& hit = hits.emplace_back();
    hit.signature = segment.signature(one.doc);
    const Segment::Size size = segment.size(one.doc);
    hit.width = size.width;
    hit.height = size.height;
    hit.score = one.score;
    hit.evidence.feature = query.feature;
    hit.evidence.distance = one.distance;
    hit.evidence.code_bits = column->shape.code_bits;
    hit.evidence.signals = one.signals;
    if (one.tokens != nullptr) hit.evidence.tokens = *one.tokens;
    hit.evidence.cosine.value = one.signals[Signal::kVisual];
    if (query.wish) hit.evidence.plain = Judge(plain, one.doc, query.wish->feature, match);
    if (query.traits.hash || query.traits.code || query.traits.words) hit.traits = TraitsOf(leaf, one.doc, query);
  }
  return hits;
}

absl::StatusOr<LeafAnswer> AnswerLeaf(const Snapshot& snapshot, const VisualQuery& query, const AllowedDocs& allowed,
                                      size_t threads) {
  const size_t segments = snapshot.segments().size();
  LIKENESS_CHECK(allowed.empty() || allowed.size() == segments);
  std::vector<LeafAnswer> answers(segments);
  std::vector<absl::Status> failures(segments);
  ParallelFor(segments, std::max<size_t>(threads, 1), [&](size_t i) {
    auto hits = SearchLeaf(LeafSegment(snapshot, i), query, allowed.empty() ? nullptr : allowed[i].get(),
                           answers[i].stats, &answers[i].background);
    if (hits.ok()) {
      answers[i].hits = *std::move(hits);
    } else {
      failures[i] = hits.status();
    }
  });
  for (const absl::Status& failure : failures) LIKENESS_RETURN_IF_ERROR(failure);
  return MergeAnswers(answers, query.k);
}

std::vector<Hit> MergeHits(std::span<std::vector<Hit>> lists, size_t k) {
  std::vector<Hit> all;
  for (std::vector<Hit>& list : lists) {
    all.insert(all.end(), std::make_move_iterator(list.begin()), std::make_move_iterator(list.end()));
    list.clear();
  }
  const auto better = [](const Hit& a, const Hit& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.signature < b.signature;
  };
  std::ranges::sort(all, better);
  // An image lies in one segment only, except while a shard is built anew: its best hit stands.
  const auto same = [](const Hit& a, const Hit& b) { return a.signature == b.signature; };
  all.erase(std::unique(all.begin(), all.end(), same), all.end());
  if (all.size() > k) all.resize(k);
  return all;
}

LeafAnswer MergeAnswers(std::span<LeafAnswer> answers, size_t k) {
  LeafAnswer merged;
  std::vector<std::vector<Hit>> lists;
  for (LeafAnswer& answer : answers) {
    lists.push_back(std::move(answer.hits));
    merged.stats.documents += answer.stats.documents;
    merged.stats.scanned += answer.stats.scanned;
    merged.stats.compared += answer.stats.compared;
    merged.background.Add(answer.background);
    std::ranges::move(answer.gaps, std::back_inserter(merged.gaps));
  }
  merged.hits = MergeHits(lists, k);
  return merged;
}

}  // namespace likeness
