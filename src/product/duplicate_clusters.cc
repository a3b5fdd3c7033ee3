#include "product/duplicate_clusters.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>
#include <tuple>
#include <utility>

#include "base/thread_pool.h"

namespace likeness {

DuplicateEvidence Reversed(const DuplicateEvidence& evidence) {
  DuplicateEvidence reversed = evidence;
  std::swap(reversed.query_region, reversed.document_region);
  std::swap(reversed.query_coverage, reversed.document_coverage);
  if (const std::optional<Affine> back = evidence.transform.Inverse()) reversed.transform = *back;
  if (const std::optional<Affine> back = evidence.pixels.transform.Inverse()) reversed.pixels.transform = *back;
  if (evidence.scale > 0) reversed.scale = 1 / evidence.scale;
  // Turned first and mirrored then is the same turn; without a mirror it goes the other way.
  if (!evidence.mirrored) reversed.turned = -evidence.turned;
  // What turns a quarter one way is undone by the other quarter; all other forms undo themselves.
  if (evidence.hash_form == Dihedral::kRotate90) reversed.hash_form = Dihedral::kRotate270;
  if (evidence.hash_form == Dihedral::kRotate270) reversed.hash_form = Dihedral::kRotate90;
  return reversed;
}

std::vector<DuplicateCluster> ClusterDuplicates(std::span<const SamePair> pairs, std::span<const uint64_t> weights) {
  std::map<uint64_t, std::map<uint64_t, const SamePair*>> neighbors;
  for (const SamePair& pair : pairs) {
    if (pair.a == pair.b) continue;
    neighbors[pair.a].try_emplace(pair.b, &pair);
    neighbors[pair.b].try_emplace(pair.a, &pair);
  }
  std::vector<uint64_t> order;
  for (const auto& [document, others] : neighbors) order.push_back(document);
  std::ranges::sort(order, {}, [&](uint64_t document) {
    return std::tuple(~weights[document], ~uint64_t{neighbors[document].size()}, document);
  });
  std::vector<bool> taken(weights.size(), false);
  std::vector<DuplicateCluster> clusters;
  for (const uint64_t document : order) {
    if (taken[document]) continue;
    DuplicateCluster cluster;
    cluster.representative = document;
    for (const auto& [other, pair] : neighbors[document]) {
      if (taken[other]) continue;
      cluster.members.push_back({other, pair->score, pair->a == other ? pair->evidence : Reversed(pair->evidence)});
      taken[other] = true;
    }
    if (cluster.members.empty()) continue;
    taken[document] = true;
    std::ranges::sort(cluster.members, {}, [](const DuplicateCluster::Member& member) {
      return std::tuple(-member.score, member.document);
    });
    clusters.push_back(std::move(cluster));
  }
  std::ranges::stable_sort(clusters, {}, [](const DuplicateCluster& cluster) {
    return std::tuple(~cluster.members.size(), cluster.representative);
  });
  return clusters;
}

namespace {

// What one document of the collection finds. Errors: those of reading it.
absl::StatusOr<DuplicateAnswer> Ask(const DuplicateFinder& finder, const Vocabulary& vocabulary, uint64_t document,
                                    const DuplicateFindOptions& options, const std::function<bool(uint64_t)>& allowed) {
  LIKENESS_ASSIGN_OR_RETURN(const Pixels pixels, finder.source().ReadPixels(document));
  LIKENESS_ASSIGN_OR_RETURN(const DuplicateQuery query, DuplicateQuery::Of(pixels, vocabulary));
  return finder.Find(query, options, allowed);
}

}  // namespace

FoundPairs FindSamePairs(const DuplicateFinder& finder, const Vocabulary& vocabulary, const FindPairsOptions& options) {
  FoundPairs found;
  const uint64_t count = finder.source().doc_count();
  std::map<std::pair<uint64_t, uint64_t>, SamePair> pairs;
  std::mutex mutex;  // guards found, pairs and done
  uint64_t done = 0;
  // Of both ways around the surer one, ties to the lower number, whichever thread comes first.
  const auto keep = [&pairs](const SamePair& pair) {
    const auto [known, is_new] = pairs.try_emplace(std::minmax(pair.a, pair.b), pair);
    const bool better =
        pair.score > known->second.score || (pair.score == known->second.score && pair.a < known->second.a);
    if (!is_new && better) known->second = pair;
  };
  for (const SamePair& pair : options.before) keep(pair);
  ParallelFor(count, options.threads, [&](size_t document) {
    if (options.stop != nullptr && options.stop->load(std::memory_order_relaxed)) {
      const std::lock_guard lock(mutex);
      found.complete = false;
      return;
    }
    const bool asks =
        (!options.allowed || options.allowed(document)) && !(options.known != nullptr && options.known(document));
    const auto others = [&](uint64_t other) {
      return other != document && (!options.allowed || options.allowed(other));
    };
    absl::StatusOr<DuplicateAnswer> answer = DuplicateAnswer();
    if (asks) answer = Ask(finder, vocabulary, document, options.find, others);
    const std::lock_guard lock(mutex);
    if (asks) {
      ++found.asked;
      found.unreadable += answer.ok() ? 0 : 1;
    }
    if (asks && answer.ok()) {
      std::vector<SamePair> same;
      for (DuplicateMatch& match : answer->matches) {
        if (match.verdict != DuplicateVerdict::kSame) break;
        same.push_back({document, match.document, match.score, std::move(match.evidence)});
        keep(same.back());
      }
      if (options.asked) options.asked(document, same);
    }
    if (options.progress) options.progress(++done, count);
  });
  for (auto& [key, pair] : pairs) found.pairs.push_back(std::move(pair));
  return found;
}

}  // namespace likeness
