#include "rank/conformity.h"

#include <algorithm>
#include <functional>

#include "rank/signals.h"

namespace likeness {
namespace {

constexpr size_t kNearest = 5;

// A hit of a wish alone has no codes that were compared.
bool HasLook(const Hit& hit) { return hit.evidence.code_bits > 0; }

// Of the nearest hits; nothing where none was found by its look.
std::optional<float> MeanCosine(std::span<const Hit> hits) {
  std::vector<float> cosines;
  for (const Hit& hit : hits) {
    if (HasLook(hit)) cosines.push_back(hit.evidence.cosine.value);
  }
  if (cosines.empty()) return std::nullopt;
  const size_t count = std::min(kNearest, cosines.size());
  std::ranges::partial_sort(cosines, cosines.begin() + static_cast<std::ptrdiff_t>(count), std::greater());
  float sum = 0;
  for (size_t i = 0; i < count; ++i) sum += cosines[i];
  return sum / static_cast<float>(count);
}

float Both(std::optional<float> look, float words) { return ClampSignal(look ? (*look + words) / 2 : words, 0); }

}  // namespace

Conformity ConformityOf(std::span<const Hit> hits, const Topics& topics) {
  Conformity conformity;
  conformity.hits.resize(hits.size());
  if (!topics.agreement) return conformity;
  conformity.answer = Both(MeanCosine(hits), *topics.agreement);
  for (size_t i = 0; i < hits.size(); ++i) {
    if (!topics.hits[i]) continue;
    const auto look = HasLook(hits[i]) ? std::optional(hits[i].evidence.cosine.value) : std::nullopt;
    conformity.hits[i] = Both(look, *topics.hits[i]);
  }
  return conformity;
}

void KeepConforming(std::optional<float> answer, double threshold, std::vector<Hit>& hits) {
  if (!answer) return;
  if (static_cast<double>(*answer) < threshold) {
    hits.clear();
    return;
  }
  std::erase_if(hits, [&](const Hit& hit) {
    return !hit.evidence.conformity || static_cast<double>(*hit.evidence.conformity) < threshold - kConformitySlack;
  });
}

}  // namespace likeness
