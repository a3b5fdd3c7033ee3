// Calibrates the relevance floor on labelled pictures, and judges it: a query without a match must be told so, and true
// hits must stay (docs/ranking.md).
//
// Half of every labelled set is the collection; the floor is calibrated within that half and has never seen what it is
// asked with: the other half, which has matches, and pictures of quite other things, which have none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "eval/relevance.h"
#include "image/limits.h"
#include "infer/model_library.h"
#include "rank/floor.h"
#include "types/feature_key.h"
#include "types/signature.h"

namespace likeness {

// Labelled pictures whose vectors are known.
struct FloorSet {
  std::string name;
  FeatureKey feature;
  size_t dimension = 0;
  std::vector<Signature> signatures;
  std::vector<uint32_t> labels;  // beside them, from 0 on
  std::vector<float> values;     // [signatures, dimension], each of length 1
};

struct FloorEvalOptions {
  ModelFiles model;  // not asked for where there is nothing but `known`
  std::optional<FloorSet> known;
  // Labelled sets: a folder with a folder a class, or FILE.jsonl:FIELD, where a line has an `image` and the label.
  std::vector<std::string> sets;
  std::vector<std::filesystem::path> unmatched;  // folders of pictures of which the sets have no like
  size_t noise = 0;                              // and so many generated pictures of noise and patterns
  double keep = 0.9;  // share of true hits that a calibration keeps in the set where that is hardest
  size_t k = 24;      // hits a query asks for
  size_t code_bits = 1024;
  uint64_t seed = 1;
  size_t threads = 1;
  ImageLimits limits;
  std::filesystem::path cache;  // as RelevanceOptions
  bool bars = false;
};

struct FloorGroup {
  std::string name;
  bool matched = false;  // its queries have matches
  size_t queries = 0;
  double nothing = 0;     // share of queries that are answered by nothing
  double kept = 0;        // share of true hits that stay; 0 for those without a match
  double false_kept = 0;  // share of other hits that stay
};

struct FloorReport {
  std::string feature;
  size_t collection = 0;  // pictures
  size_t examples = 0;    // hits that the floor was calibrated on
  FloorModel::Parameters model;
  std::vector<FloorGroup> groups;
  // The same with a calibration that has never seen one of the sets; named "SET | GROUP".
  std::vector<FloorGroup> transferred;
  std::vector<BarResult> results;
  bool ok() const;
};

// Errors: as EvaluateRelevance; InvalidArgument without a labelled set, or when the model's vectors are others than
// those that are known.
absl::StatusOr<FloorReport> EvaluateFloor(const FloorEvalOptions& options, const RelevanceProgress& progress = nullptr);

// Calibrates on all of the sets and judges nothing: report.model and examples. `unmatched` and `noise` are examples of
// what has no match.
absl::StatusOr<FloorReport> TrainFloor(const FloorEvalOptions& options, const RelevanceProgress& progress = nullptr);

std::string FloorReportToJson(const FloorReport& report);
std::string FloorReportToText(const FloorReport& report);

}  // namespace likeness
