#include "rank/collapse.h"

#include <optional>
#include <utility>

#include "kernel/hamming.h"

namespace likeness {
namespace {

std::optional<Distance> HashDistance(const HitTraits& a, const HitTraits& b, int32_t quality) {
  if (!a.hash || !b.hash || a.hash->quality < quality || b.hash->quality < quality) return std::nullopt;
  return Distance{HammingDistance(a.hash->words, b.hash->words)};
}

std::optional<Distance> CodeDistance(const HitTraits& a, const HitTraits& b) {
  if (a.code.empty() || a.code.size() != b.code.size() || a.code.size() > kMaxCodeWords) return std::nullopt;
  return Distance{HammingDistance(a.code, b.code)};
}

// Nothing when the two do not show the same.
std::optional<Duplicate> Compare(const Hit& hit, const Hit& other, const CollapseRules& rules) {
  Duplicate duplicate{other.signature, other.width, other.height, other.score};
  duplicate.hash_distance = HashDistance(hit.traits, other.traits, rules.quality);
  duplicate.code_distance = CodeDistance(hit.traits, other.traits);
  const bool hash = duplicate.hash_distance && duplicate.hash_distance->bits <= rules.hash_bits;
  if (!duplicate.code_distance) return hash ? std::optional(duplicate) : std::nullopt;
  const double bits = 64.0 * static_cast<double>(hit.traits.code.size());
  const double share = duplicate.code_distance->bits / bits;
  const bool same = share <= rules.same_code_share || (hash && share <= rules.code_share);
  return same ? std::optional(duplicate) : std::nullopt;
}

}  // namespace

size_t CollapseHits(std::vector<Hit>& hits, const CollapseRules& rules) {
  std::vector<Hit> standing;
  for (Hit& hit : hits) {
    std::optional<Duplicate> duplicate;
    for (Hit& first : standing) {
      duplicate = Compare(first, hit, rules);
      if (!duplicate) continue;
      first.duplicates.push_back(*duplicate);
      break;
    }
    if (!duplicate) standing.push_back(std::move(hit));
  }
  const size_t away = hits.size() - standing.size();
  hits = std::move(standing);
  return away;
}

}  // namespace likeness
