// How good color signatures are: do pictures of one color find each other, does a named color find its own, and is the
// salient region where the thing is? docs/features/color.md, docs/evaluation.md.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "eval/labelled_set.h"
#include "eval/metrics.h"
#include "eval/relevance.h"
#include "image/limits.h"

namespace likeness {

struct ColorEvalOptions {
  std::filesystem::path labels;  // JSON lines with `image` and
  std::string field;             // the name of the label that is a color
  std::filesystem::path boxes;   // JSON lines with `image` and `boxes` (x, y, width, height); empty: not judged
  ImageLimits limits;
  BootstrapOptions bootstrap;
  size_t threads = 1;
  std::optional<double> bar;  // by what factor P@10 must be above that of the histogram
};

// Leave-one-out, as in EvaluateRelevance.
struct ColorRanking {
  Estimate p_at_1, p_at_5, p_at_10;
};

// Queries by a name alone, for each label that is one.
struct NamedColorResult {
  std::string name;
  size_t pictures = 0;  // with the label
  double p_at_10 = 0;   // of all pictures
  double chance = 0;    // what drawing by lot would give
};

// Weak truth: the part of the picture in any of its boxes. Means over pictures.
struct RegionResult {
  double precision = 0;  // of the region, within boxes
  double recall = 0;     // of the boxes, within the region
  double share = 0;      // of the picture
};

struct ColorReport {
  std::string labels, field;
  size_t pictures = 0, queries = 0, unlabelled = 0;
  std::vector<LabelledSet::Problem> unreadable;
  std::string feature;  // FeatureKey
  ColorRanking signature, histogram;
  double colors = 0;  // of a signature, on average
  double whole = 0;   // share of the pictures where nothing stood out
  std::vector<NamedColorResult> names;
  size_t boxed = 0;     // pictures with boxes
  RegionResult region;  // what was found
  RegionResult middle;  // a box in the middle, as large as what was found and of the picture's proportions
  std::vector<BarResult> results;

  bool ok() const;  // no bar is missed
};

// Errors: those of ReadLabelledLines; InvalidArgument when no picture has another of its label, or for boxes that
// cannot be read.
absl::StatusOr<ColorReport> EvaluateColor(const ColorEvalOptions& options, const RelevanceProgress& progress = nullptr);

// A table for people, and one line for programs.
std::string ColorReportToText(const ColorReport& report);
std::string ColorReportToJson(const ColorReport& report);

}  // namespace likeness
