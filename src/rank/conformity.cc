#include "rank/conformity.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "rank/signals.h"

namespace likeness {
namespace {

constexpr size_t kLeastWithWords = 3;
constexpr size_t kLeastJudged = 5;

double SquaredNorm(std::span<const Annotation> words) {
  double sum = 0;
  for (const Annotation& one : words) sum += static_cast<double>(one.weight) * one.weight;
  return sum;
}

}  // namespace

Conformity ConformityOf(std::span<const Hit> hits) {
  Conformity conformity;
  conformity.hits.resize(hits.size());
  std::vector<size_t> near;  // the first that have words
  for (size_t i = 0; i < hits.size() && near.size() <= kConformityNear; ++i) {
    if (!hits[i].traits.words.empty()) near.push_back(i);
  }
  if (near.size() < kLeastWithWords) return conformity;
  // Each neighbor's words at length 1, so that a long description has no louder voice; nearer ones count more.
  std::vector<double> voice(near.size());
  for (size_t n = 0; n < near.size(); ++n) {
    voice[n] = 1 / (std::log2(static_cast<double>(n) + 2) * std::sqrt(SquaredNorm(hits[near[n]].traits.words)));
  }
  for (size_t i = 0; i < hits.size(); ++i) {
    const std::vector<Annotation>& words = hits[i].traits.words;
    if (words.empty()) continue;
    std::map<uint32_t, double> others;
    size_t heard = 0;
    for (size_t n = 0; n < near.size() && heard < kConformityNear; ++n) {
      if (near[n] == i) continue;
      ++heard;
      for (const Annotation& one : hits[near[n]].traits.words) others[one.word] += voice[n] * one.weight;
    }
    double common = 0, norm = 0;
    for (const auto& [word, weight] : others) norm += weight * weight;
    for (const Annotation& one : words) {
      const auto found = others.find(one.word);
      if (found != others.end()) common += found->second * one.weight;
    }
    const double length = std::sqrt(norm * SquaredNorm(words));
    conformity.hits[i] = length > 0 ? ClampSignal(static_cast<float>(common / length), 0) : 0;
  }
  std::vector<float> judged;
  for (size_t n = 0; n < std::min(near.size(), kConformityNear); ++n) judged.push_back(*conformity.hits[near[n]]);
  std::ranges::sort(judged, std::greater());
  judged.resize(std::min(judged.size(), std::max(kLeastJudged, judged.size() / 2)));
  double sum = 0;
  for (const float one : judged) sum += one;
  conformity.answer = static_cast<float>(sum / static_cast<double>(judged.size()));
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
