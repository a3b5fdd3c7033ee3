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
  double answered = 0;       // share of queries that are answered by five results or more
  double p_at_5 = 0;         // of those
  double results = 0;        // of those, of the 24 best
  double visual_p_at_5 = 0;  // purely visual, of as many queries: those whose five nearest are nearest
};

struct ConformityReport {
  size_t queries = 0;
  double visual_p_at_5 = 0;            // of all queries, nothing left out
  double topic_p_at_5 = 0;             // the same in the order of look and topic: weights of 1
  double words_p_at_5 = 0;             // the same, and the query's own words besides: a picture of the collection asks
  std::vector<ConformityPoint> curve;  // by rising threshold
  ConformityPoint at_share;            // where kAnsweredShare of the queries are answered
  // The threshold is chosen on one half of the queries, drawn by signature, and judged on the other; so is the visual
  // search's own.
  ConformityPoint other_half;
  double other_half_visual = 0;  // P@5 of all of the other half
};
inline constexpr double kAnsweredShare = 0.6;
inline constexpr double kConformityGain = 0.05;  // of P@5 there over visual_p_at_5, at least

// REQUIRES: pictures have texts; `coded` is of the set
absl::StatusOr<ConformityReport> JudgeConformity(const LabelledSet& set, const Relevance& relevance,
                                                 const CodedSet& coded, size_t threads);

std::string ConformityReportToText(const ConformityReport& report);

}  // namespace likeness
