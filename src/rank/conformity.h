// The conformity threshold on the metadata of results: precision at the expense of recall (paper, section 3).
//
// Pictures that look alike and are described alike are alike; where looks and words disagree a result is a guess. The
// words are those of the results alone, never the query's.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "rank/topic.h"
#include "types/hit.h"

namespace likeness {

// A hit may conform less than the threshold asks of the whole answer, by so much.
inline constexpr double kConformitySlack = 0.1;

struct Conformity {
  // For each hit, in [0, 1]: the mean of its cosine to the query and of its topic's to what the answer is about.
  // Nothing for a hit without a topic.
  std::vector<std::optional<float>> hits;
  // The mean of how near the five nearest are and of how far topics agree, in [0, 1]. Nothing where words say nothing.
  // A hit that was found by a wish alone has no cosine: then topics alone decide.
  std::optional<float> answer;
};

// REQUIRES: topics == TopicsOf(hits)
Conformity ConformityOf(std::span<const Hit> hits, const Topics& topics);

// Drops the hits whose evidence.conformity is more than kConformitySlack below the threshold or missing, and all of
// them where that of the answer is below it. Where nothing can be judged nothing is dropped.
void KeepConforming(std::optional<float> answer, double threshold, std::vector<Hit>& hits);

}  // namespace likeness
