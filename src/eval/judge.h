// From vectors to figures: what EvaluateRelevance does once pictures are read. Apart from it, so that tests can judge
// vectors that no network made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "eval/labelled_set.h"
#include "eval/ranking.h"
#include "eval/relevance.h"

namespace likeness {

// How good one way of ranking was for each query, in the order of `Relevance::queries`.
struct QueryScores {
  std::vector<double> p_at_1, p_at_5, p_at_10, ap;
  std::vector<double> precision;  // [i]: sum over queries of precision at i + 1
};

// Who is relevant to whom.
class Relevance {
 public:
  explicit Relevance(const LabelledSet& set);

  // Pictures with at least one other of their label, by row.
  std::span<const uint32_t> queries() const { return queries_; }
  uint32_t label(size_t row) const { return labels_[row]; }
  size_t rows() const { return labels_.size(); }

  // Runs `rank` with a sink that judges what it is given. Rows that are no queries are passed over. `first`, where not
  // null, gets the first kExampleResults rows and scores of each query.
  struct First {
    std::vector<uint32_t> rows;
    std::vector<float> scores;
  };
  static constexpr size_t kExampleResults = 10;
  absl::StatusOr<QueryScores> Judge(const std::function<absl::Status(const RankingSink&)>& rank,
                                    std::vector<First>* first = nullptr) const;

 private:
  std::vector<uint32_t> labels_;  // [rows]
  std::vector<uint32_t> queries_;
  std::vector<uint32_t> number_;    // [rows], position in queries_, or rows() where it is none
  std::vector<uint32_t> of_label_;  // pictures of each label
};

struct Judgement {
  ModelReport report;                   // all but name, licence, latency and speed
  std::vector<Relevance::First> first;  // of the search with the longest code
  QueryScores search;                   // the same ranking's scores
  std::vector<CodedSet> coded;          // by rising length
  std::vector<Binarizer> binarizers;    // beside them
};

// REQUIRES: values.size() == set.pictures.size() * dimension
absl::StatusOr<Judgement> JudgeVectors(const LabelledSet& set, const Relevance& relevance, const FeatureKey& key,
                                       std::span<const float> values, size_t dimension, const RelevanceOptions& options,
                                       const std::function<void(std::string_view)>& stage);

}  // namespace likeness
