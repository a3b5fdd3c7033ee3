#include "rank/conformity.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <utility>

#include "rank/signals.h"

namespace likeness {
namespace {

constexpr size_t kLeastWithWords = 3;
constexpr double kLift = 2;  // of the answer's word, that makes a conformity of 1 - 1/e

// A word of the first hits.
struct Support {
  double said = 0;    // the voices of those that have it
  double weight = 0;  // how much the word tells, the largest that a hit gives it
};

// What share of pictures has a word of that weight: the weight is ln(1 + 1 / share).
double ShareOf(double weight) { return std::min(1.0, 1 / std::expm1(std::max(weight, 0.01))); }

// How much of what is said `hit` says, its own voice aside.
double Agreement(const Hit& hit, const std::map<uint32_t, Support>& said, double own) {
  double in_common = 0, all = 0;
  auto mine = hit.traits.words.begin();
  for (const auto& [word, support] : said) {
    while (mine != hit.traits.words.end() && mine->word < word) ++mine;
    const bool has = mine != hit.traits.words.end() && mine->word == word;
    const double others = std::max(0.0, (support.said - (has ? own : 0)) / (1 - own));
    const double counts = others * others * support.weight;
    all += counts;
    if (has) in_common += counts;
  }
  return all > 0 ? in_common / all : 0;
}

}  // namespace

Conformity ConformityOf(std::span<const Hit> hits) {
  Conformity conformity;
  conformity.hits.resize(hits.size());
  std::vector<size_t> near;  // the first that have words
  for (size_t i = 0; i < hits.size() && near.size() < kConformityNear; ++i) {
    if (!hits[i].traits.words.empty()) near.push_back(i);
  }
  if (near.size() < kLeastWithWords) return conformity;
  std::vector<double> voice(near.size());
  double voices = 0;
  for (size_t n = 0; n < near.size(); ++n) voices += voice[n] = 1 / std::log2(static_cast<double>(n) + 2);
  std::map<uint32_t, Support> said;
  for (size_t n = 0; n < near.size(); ++n) {
    voice[n] /= voices;
    for (const Annotation& one : hits[near[n]].traits.words) {
      Support& support = said[one.word];
      support.said += voice[n];
      support.weight = std::max<double>(support.weight, one.weight);
    }
  }
  double lift = 0;
  for (const auto& [word, support] : said) {
    lift = std::max(lift, support.said * std::log(support.said / ShareOf(support.weight)));
  }
  conformity.answer = static_cast<float>(1 - std::exp(-lift / kLift));

  std::vector<double> agreement(hits.size()), first;
  for (size_t i = 0, n = 0; i < hits.size(); ++i) {
    const bool is_near = n < near.size() && near[n] == i;
    agreement[i] = Agreement(hits[i], said, is_near ? voice[n] : 0);
    if (is_near) {
      first.push_back(agreement[i]);
      ++n;
    }
  }
  std::ranges::nth_element(first, first.begin() + static_cast<std::ptrdiff_t>(first.size() / 2));
  const double middle = first[first.size() / 2];
  for (size_t i = 0; i < hits.size(); ++i) {
    if (hits[i].traits.words.empty()) continue;
    conformity.hits[i] = middle > 0 ? ClampSignal(static_cast<float>(agreement[i] / middle), 0) : 0;
  }
  return conformity;
}

std::optional<float> KeepConforming(std::vector<Hit>& hits, double threshold) {
  const Conformity conformity = ConformityOf(hits);
  for (size_t i = 0; i < hits.size(); ++i) hits[i].evidence.conformity = conformity.hits[i];
  if (!conformity.answer) return std::nullopt;
  if (*conformity.answer < threshold) {
    hits.clear();
  } else {
    std::erase_if(hits,
                  [&](const Hit& hit) { return !hit.evidence.conformity || *hit.evidence.conformity < threshold; });
  }
  return conformity.answer;
}

}  // namespace likeness
