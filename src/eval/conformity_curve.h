// Precision against recall of the conformity threshold (paper, section 3): what it gains to leave out results whose
// words do not go with those of the others. The query brings no words with it: they are those of the results alone.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/status.h"
#include "eval/judge.h"
#include "eval/labelled_set.h"
#include "eval/ranking.h"

namespace likeness {

struct ConformityPoint {
  double threshold = 0;
  double answered = 0;       // share of queries that are answered by anything
  double p_at_5 = 0;         // of those, each divided by 5 however many results stay
  double results = 0;        // of those, of the 24 nearest
  double visual_p_at_5 = 0;  // purely visual, of as many queries: those whose first five are nearest
};

struct ConformityReport {
  size_t queries = 0;
  double visual_p_at_5 = 0;            // of all queries, nothing left out
  std::vector<ConformityPoint> curve;  // by rising threshold
  ConformityPoint at_share;            // where kAnsweredShare of the queries are answered
};
inline constexpr double kAnsweredShare = 0.6;
inline constexpr double kConformityGain = 0.05;  // of P@5 there over visual_p_at_5, at least

// REQUIRES: pictures have texts; `coded` is of the set
absl::StatusOr<ConformityReport> JudgeConformity(const LabelledSet& set, const Relevance& relevance,
                                                 const CodedSet& coded, size_t threads);

std::string ConformityReportToText(const ConformityReport& report);

}  // namespace likeness
