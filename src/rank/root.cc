#include "rank/root.h"

#include <algorithm>
#include <utility>

#include "rank/collapse.h"
#include "rank/conformity.h"
#include "rank/floor.h"
#include "rank/topic.h"

namespace likeness {
namespace {

constexpr size_t kMostAsked = 4096;  // hits of one query, whatever was left out

bool NeedsTopics(const VisualQuery& query, const RootOptions& options) {
  return options.conformity || query.weights[Signal::kTopic] != 0;
}

// What the leaves must answer for the root to do what it is asked to.
VisualQuery QueryForLeaves(const VisualQuery& query, const RootOptions& options) {
  VisualQuery asked = query;
  asked.traits = {};
  asked.background_below = 0;
  if (options.images > 0) asked.collection = options.images;
  size_t least = query.k;
  if (options.collapse) {
    asked.traits.hash = options.collapse->hash;
    asked.traits.code = options.collapse->code;
    least = std::max(least, 2 * query.k + 16);
  }
  if (options.floor_model != nullptr) {
    asked.traits.code = true;
    if (options.floor_model->needs_background()) asked.background_below = BackgroundBound(options.images);
    least = std::max(least, query.k + 2 * kFloorNear);
  }
  if (NeedsTopics(query, options)) {
    asked.traits.words = asked.traits.code = true;
    least = std::max(least, 2 * query.k + 2 * kTopicNear);
  }
  asked.k = std::max(query.k, std::min(least, kMostAsked));
  return asked;
}

// Gives hits their topic signal, and their conformity where it is asked for, which is returned of the answer. Hits come
// in a new order when the topic has a weight: only the root knows what the answer is about.
std::optional<float> AddTopics(const VisualQuery& query, const RootOptions& options, std::vector<Hit>& hits) {
  const Topics topics = TopicsOf(hits);
  std::optional<float> answer;
  if (options.conformity) {
    const Conformity conformity = ConformityOf(hits, topics);
    for (size_t i = 0; i < hits.size(); ++i) hits[i].evidence.conformity = conformity.hits[i];
    answer = conformity.answer;
  }
  const float share = query.wish && !query.code.code.empty() ? 1 - std::clamp(query.wish->weight, 0.0f, 1.0f) : 1.0f;
  for (size_t i = 0; i < hits.size(); ++i) {
    if (!topics.hits[i]) continue;
    hits[i].evidence.signals.Set(Signal::kTopic, *topics.hits[i]);
    hits[i].score.value += share * query.weights[Signal::kTopic] * *topics.hits[i];
  }
  std::ranges::sort(hits, [](const Hit& a, const Hit& b) {
    return a.score != b.score ? a.score > b.score : a.signature < b.signature;
  });
  return answer;
}

// All that the root does with the merged list.
RootAnswer Finish(LeafAnswer leaves, const VisualQuery& query, const RootOptions& options) {
  RootAnswer answer;
  answer.coverage = {leaves.stats.scanned, leaves.stats.documents, std::move(leaves.gaps)};
  answer.hits = std::move(leaves.hits);
  // Copies first, so that no picture speaks twice in what follows.
  if (options.collapse) answer.left_out.collapsed = CollapseHits(answer.hits);
  if (NeedsTopics(query, options)) answer.conformity = AddTopics(query, options, answer.hits);
  if (options.floor_model != nullptr) {
    SetProbabilities(*options.floor_model, leaves.background, answer.hits);
    if (options.floor) {
      answer.left_out.below_floor = std::erase_if(answer.hits, [&](const Hit& hit) {
        return hit.evidence.probability && static_cast<double>(*hit.evidence.probability) < *options.floor;
      });
    }
  }
  if (options.conformity) {
    const size_t before = answer.hits.size();
    KeepConforming(answer.conformity, *options.conformity, answer.hits);
    answer.left_out.not_conforming = before - answer.hits.size();
  }
  return answer;
}

}  // namespace

absl::StatusOr<RootAnswer> AnswerRoot(const AskLeaves& ask, const VisualQuery& query, const RootOptions& options) {
  VisualQuery asked = QueryForLeaves(query, options);
  for (;;) {
    LIKENESS_ASSIGN_OR_RETURN(LeafAnswer leaves, ask(asked));
    const bool more = leaves.hits.size() >= asked.k && asked.k < kMostAsked;
    RootAnswer answer = Finish(std::move(leaves), query, options);
    // Only copies push down what should be found. What lies below the floor or does not conform has worse behind it.
    const bool short_of_hits = answer.hits.size() < query.k && answer.left_out.collapsed > 0 &&
                               answer.left_out.below_floor + answer.left_out.not_conforming == 0;
    if (short_of_hits && more && !asked.deadline.Passed()) {
      asked.k = std::min(kMostAsked, 4 * asked.k);
      continue;
    }
    if (answer.hits.size() > query.k) answer.hits.resize(query.k);
    return answer;
  }
}

absl::StatusOr<RootAnswer> SearchRoot(const Snapshot& snapshot, const VisualQuery& query, const AllowedDocs& allowed,
                                      size_t threads, const RootOptions& options) {
  return AnswerRoot([&](const VisualQuery& asked) { return AnswerLeaf(snapshot, asked, allowed, threads); }, query,
                    options);
}

}  // namespace likeness
