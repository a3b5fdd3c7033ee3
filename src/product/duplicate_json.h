// Duplicates as JSON text, one object each: docs/duplicates.md names every field.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "product/duplicate_clusters.h"
#include "product/duplicate_finder.h"

namespace likeness {

// `verdict`, `score`, `evidence`, and what `name` says of the document: the members of a JSON object, without braces,
// like "\"signature\":\"...\"".
using DocumentName = std::function<std::string(uint64_t document)>;

std::string DuplicateEvidenceJson(const DuplicateEvidence& evidence);
std::string DuplicateMatchJson(const DuplicateMatch& match, const DocumentName& name);
// `representative`, `members` with `score` and `evidence`, the member as query.
std::string DuplicateClusterJson(const DuplicateCluster& cluster, const DocumentName& name);

}  // namespace likeness
