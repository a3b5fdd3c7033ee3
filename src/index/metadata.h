// What people wrote and did about the documents of a segment, in a sealed file of its own beside the segment: facts
// change when pictures do not. The file is a segment (index/segment.h) of the same documents with two plain features
// and no deep one; docs/formats/metadata.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "index/plain_column.h"
#include "index/segment.h"
#include "types/doc_id.h"
#include "types/feature_key.h"
#include "types/hit.h"

namespace likeness {

// The words of a document: rows of u32 word and f32 weight, by rising word.
FeatureKey AnnotationFeatureKey();
// How many pins an image has: one row of u32.
FeatureKey PinCountFeatureKey();

// The digest of a word by which annotations know it.
uint32_t AnnotationWord(std::string_view word);

// One document's facts.
struct DocumentFacts {
  Signature signature;
  std::vector<std::string> words;  // sorted, distinct
  uint32_t pins = 0;
};

// The file. A word's weight is ln(1 + n / d), n being the documents and d those that have the word; words that more
// than half of 20 documents or more have say nothing and are left out. The same facts give the same bytes.
// REQUIRES: signatures ascend. Errors: InvalidArgument.
absl::StatusOr<std::vector<std::byte>> SealMetadata(std::span<const DocumentFacts> documents);

// Sorted by word; nothing where the file has none or does not make sense. `metadata` may be null.
std::vector<Annotation> AnnotationsOf(const Segment* metadata, DocId doc);
// 0 where that is not known.
uint32_t PinCountOf(const Segment* metadata, DocId doc);

}  // namespace likeness
