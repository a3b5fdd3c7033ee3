#include "rank/signals.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/bytes.h"
#include "feature/color_distance.h"
#include "feature/hash.h"
#include "kernel/dot.h"

namespace likeness {

float Int8Cosine(std::span<const int8_t> a, float norm_a, std::span<const int8_t> b, float norm_b) {
  if (!(norm_a > 0) || !(norm_b > 0)) return 0;
  const double cosine = static_cast<double>(DotInt8(a, b)) / (static_cast<double>(norm_a) * norm_b);
  return static_cast<float>(std::clamp(cosine, -1.0, 1.0));
}

float ClampSignal(float value, float least) { return value >= least ? std::min(value, 1.0f) : least; }

std::optional<float> WordsCosine(std::span<const Annotation> a, std::span<const Annotation> b) {
  if (a.empty() || b.empty()) return std::nullopt;
  const auto square = [](std::span<const Annotation> words) {
    double sum = 0;
    for (const Annotation& one : words) sum += static_cast<double>(one.weight) * one.weight;
    return sum;
  };
  double common = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i].word == b[j].word) {
      common += static_cast<double>(a[i++].weight) * b[j++].weight;
    } else if (a[i].word < b[j].word) {
      ++i;
    } else {
      ++j;
    }
  }
  const double norm = std::sqrt(square(a) * square(b));
  return norm > 0 ? ClampSignal(static_cast<float>(common / norm), 0) : 0;
}

double CodeCosine(uint32_t distance, uint32_t bits) {
  return bits == 0 ? 0 : std::cos(std::numbers::pi * std::min(1.0, distance / static_cast<double>(bits)));
}

float EngagementOf(uint32_t pins) {
  return static_cast<float>(std::min(1.0, std::log1p(static_cast<double>(pins)) / std::log1p(1000.0)));
}

std::optional<HitTraits::Hash> HashOf(const PlainColumn* column, DocId doc) {
  if (column == nullptr || !column->has(doc)) return std::nullopt;
  const std::optional<PdqValue> value = ParsePdqValue(column->value(doc));
  if (!value) return std::nullopt;
  return HitTraits::Hash{value->hash.words, value->quality};
}

SignalReader::SignalReader(const LeafSegment& leaf, const VisualQuery& query, const DeepColumn& column)
    : leaf_(leaf), query_(query), column_(column) {
  if (!query.color || query.weights[Signal::kColor] == 0) return;
  if (auto palette = ParseColorValue(AsBytes(query.color->value))) {
    palette_ = *std::move(palette);
    color_ = leaf.segment->plain(query.color->feature);
  }
}

SignalValues SignalReader::Read(const Neighbor& candidate) const {
  SignalValues signals;
  const DocId doc = candidate.doc;
  signals.Set(Signal::kVisual,
              Int8Cosine(query_.code.vector, query_.code.norm, column_.vector(doc), column_.norm(doc)));
  signals.Set(Signal::kCode, 1 - 2 * static_cast<float>(candidate.distance.bits) /
                                     static_cast<float>(std::max(column_.shape.code_bits, 1u)));
  if (color_ != nullptr && color_->has(doc)) {
    if (const auto palette = ParseColorValue(color_->value(doc))) {
      signals.Set(Signal::kColor, ClampSignal(1 - ColorDistance(palette_, *palette), 0));
    }
  }
  if (!query_.words.empty() && query_.weights[Signal::kAnnotation] != 0) {
    if (const auto likeness = WordsCosine(query_.words, AnnotationsOf(leaf_.metadata, doc))) {
      signals.Set(Signal::kAnnotation, *likeness);
    }
  }
  if (leaf_.metadata != nullptr && query_.weights[Signal::kEngagement] != 0) {
    signals.Set(Signal::kEngagement, EngagementOf(PinCountOf(leaf_.metadata, doc)));
  }
  return signals;
}

}  // namespace likeness
