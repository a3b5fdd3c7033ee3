#include "index/metadata.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "base/bytes.h"
#include "index/segment_writer.h"

namespace likeness {
namespace {

constexpr size_t kRow = 8;             // bytes of one annotation
constexpr size_t kEnoughToJudge = 20;  // documents that make a word common

void Append(std::string& out, const void* value, size_t size) { out.append(static_cast<const char*>(value), size); }

}  // namespace

FeatureKey AnnotationFeatureKey() { return {"annotation", "1"}; }
FeatureKey PinCountFeatureKey() { return {"pins", "1"}; }

uint32_t AnnotationWord(std::string_view word) { return static_cast<uint32_t>(Checksum(AsBytes(word))); }

absl::StatusOr<std::vector<std::byte>> SealMetadata(std::span<const DocumentFacts> documents) {
  std::map<uint32_t, uint32_t> counts;
  for (const DocumentFacts& one : documents) {
    for (const std::string& word : one.words) ++counts[AnnotationWord(word)];
  }
  LIKENESS_ASSIGN_OR_RETURN(SegmentWriter writer,
                            SegmentWriter::Create({}, {{AnnotationFeatureKey(), {kRow, true}},
                                                       {PinCountFeatureKey(), {sizeof(uint32_t), false}}}));
  const auto total = static_cast<double>(documents.size());
  for (const DocumentFacts& one : documents) {
    std::vector<uint32_t> words;
    for (const std::string& word : one.words) words.push_back(AnnotationWord(word));
    std::ranges::sort(words);
    words.erase(std::unique(words.begin(), words.end()), words.end());
    std::string value;
    for (const uint32_t word : words) {
      const double having = counts[word];
      if (documents.size() >= kEnoughToJudge && having > total / 2) continue;
      const auto weight = static_cast<float>(std::log1p(total / having));
      Append(value, &word, sizeof(word));
      Append(value, &weight, sizeof(weight));
    }
    std::string pins;
    Append(pins, &one.pins, sizeof(one.pins));
    Fingerprint fingerprint;
    fingerprint.signature = one.signature;
    fingerprint.plain = {{AnnotationFeatureKey(), std::move(value)}, {PinCountFeatureKey(), std::move(pins)}};
    LIKENESS_RETURN_IF_ERROR(writer.Add(fingerprint));
  }
  return writer.Seal();
}

std::vector<Annotation> AnnotationsOf(const Segment* metadata, DocId doc) {
  if (metadata == nullptr) return {};
  const PlainColumn* column = metadata->plain(AnnotationFeatureKey());
  if (column == nullptr || column->shape.row_bytes != kRow || doc.value() >= column->doc_count) return {};
  const std::span<const std::byte> value = column->value(doc);
  std::vector<Annotation> annotations(value.size() / kRow);
  for (size_t i = 0; i < annotations.size(); ++i) {
    std::memcpy(&annotations[i].word, &value[i * kRow], sizeof(uint32_t));
    std::memcpy(&annotations[i].weight, &value[i * kRow + sizeof(uint32_t)], sizeof(float));
    const bool ascends = i == 0 || annotations[i].word > annotations[i - 1].word;
    if (!ascends || !(annotations[i].weight > 0) || !std::isfinite(annotations[i].weight)) return {};
  }
  return annotations;
}

uint32_t PinCountOf(const Segment* metadata, DocId doc) {
  if (metadata == nullptr) return 0;
  const PlainColumn* column = metadata->plain(PinCountFeatureKey());
  if (column == nullptr || column->shape.row_bytes != sizeof(uint32_t) || doc.value() >= column->doc_count) return 0;
  const std::span<const std::byte> value = column->value(doc);
  uint32_t pins = 0;
  if (value.size() == sizeof(pins)) std::memcpy(&pins, value.data(), sizeof(pins));
  return pins;
}

}  // namespace likeness
