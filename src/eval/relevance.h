// Static evaluation of search relevance (paper, section 3 and Table 1): every picture of a labelled set asks for the
// others, and a result is relevant when it has the query's label. docs/evaluation.md says what is measured and how.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "eval/labelled_set.h"
#include "eval/metrics.h"
#include "feature/binarizer.h"
#include "feature/deep.h"
#include "image/limits.h"
#include "infer/model_library.h"

namespace likeness {

// What the first model must reach. Each is a share in [0, 1].
struct RelevanceBars {
  double p_at_1 = 0.78;       // float, at least
  double map = 0.45;          // float, at least
  double p_at_1_loss = 0.01;  // float - binary, at most
  double map_loss = 0.02;     // float - binary, at most
};

struct RelevanceOptions {
  std::filesystem::path data;    // a folder a class; empty when `labels` is given
  std::filesystem::path labels;  // a JSON lines file, with
  std::string field;             // the name of its label
  std::string words;             // the name of what people wrote, by which conformity is judged; empty: it is not
  ImageLimits limits;

  std::vector<ModelFiles> models;  // the color histogram is judged beside them, always
  std::string layer;               // as in DeepOptions
  std::optional<Fit> fit;

  // Lengths of the binary codes; the longest one is the model's `binary`. 0 means the dimension of the layer.
  std::vector<size_t> code_bits = {1024};
  uint64_t code_seed = 20150810;  // the seed of the pipeline, so that codes are those of a release
  Rotation rotation = Rotation::kRandom;

  BootstrapOptions bootstrap;
  size_t latency_queries = 200;  // pictures that are timed, drawn by bootstrap.seed; 0: none
  size_t threads = 1;            // for everything but the retrieval that is timed, which is one thread's
  size_t examples = 4;           // queries of each kind that are shown with pictures; 0: none
  std::filesystem::path cache;   // a file that keeps vectors between evaluations; empty: none
  std::optional<RelevanceBars> bars;
};

struct Estimate {
  double value = 0;
  Interval interval;  // 95 %, or options.bootstrap.confidence
};

struct Quality {
  Estimate p_at_1, p_at_5, p_at_10, map;
  std::vector<double> precision;  // [i]: mean precision at i + 1, up to kCurveLength
};
inline constexpr size_t kCurveLength = 50;

// How much less than another ranking of the same queries: paired, so that the interval is of the difference.
struct Loss {
  Estimate p_at_1, p_at_10, map;
};

// Milliseconds for one picture at a time.
struct Percentiles {
  double p50 = 0;
  double p99 = 0;
};
struct QueryLatency {
  Percentiles total;       // of the sum for each picture
  Percentiles extraction;  // bytes in memory to vector: decode, prepare, infer
  Percentiles retrieval;   // vector to the best 24: float scan, or encode and search
};

struct CodeReport {
  size_t bits = 0;
  Quality search;                  // codes, then int8 refinement: what a search answers
  Quality hamming;                 // codes alone
  Loss search_loss, hamming_loss;  // to float
  Loss search_loss_to_centred;
};

struct ClassReport {
  std::string label;
  size_t pictures = 0;
  size_t queries = 0;                                            // 0 where it has one picture only
  double p_at_1 = 0, p_at_10 = 0, map = 0;                       // float
  double binary_p_at_1 = 0, binary_p_at_10 = 0, binary_map = 0;  // search with the longest code
};

struct ModelReport {
  std::string name;
  std::string feature;  // FeatureKey
  std::string licence;
  bool baseline = false;
  size_t dimension = 0;
  Quality plain;                               // float vectors as the network gives them
  Quality centred;                             // float, the mean of the set taken off
  std::vector<CodeReport> codes;               // by rising length, at least one
  std::optional<QueryLatency> latency;         // with float retrieval
  std::optional<QueryLatency> binary_latency;  // with the longest code
  double images_per_second = 0;                // all threads, decode and inference; 0 when a cache had them
  std::vector<ClassReport> classes;            // as in RelevanceReport::labels
  std::vector<uint32_t> confusion;             // [labels, labels]: query's label, label of the search's first result

  const CodeReport& binary() const { return codes.back(); }
};

// A query and what the search with the longest code of the first model answers.
struct ExampleRow {
  struct Picture {
    std::string source;
    uint32_t label = 0;
    float score = 0;
    bool relevant = false;
    std::string jpeg;  // at most 160 pixels; empty where it cannot be made
  };
  std::string kind;  // "good", "drawn" (by lot), "worst"
  double average_precision = 0;
  Picture query;
  std::vector<Picture> results;  // the first 10
};

struct ConformityReport;  // eval/conformity_curve.h

// One figure against its bar, as benchmarks report them.
struct BarResult {
  std::string name;
  double value = 0;
  std::string unit;
  std::optional<double> bar;
  bool higher_is_better = true;
  bool ok() const { return !bar || (higher_is_better ? value >= *bar : value <= *bar); }
};

struct RelevanceReport {
  std::string data;   // the folder or file
  std::string field;  // empty for a folder
  std::vector<std::string> labels;
  size_t pictures = 0;          // compared
  size_t queries = 0;           // pictures with at least one other of their label
  size_t without_relevant = 0;  // pictures that are not asked for, having none
  size_t duplicates = 0, unlabelled = 0;
  std::vector<LabelledSet::Problem> unreadable;
  size_t refined = 0;  // candidates that a search refines
  size_t resamples = 0;
  double confidence = 0;
  size_t latency_queries = 0, threads = 0;
  std::vector<ModelReport> models;  // as named, then the baseline
  std::vector<ExampleRow> examples;
  std::shared_ptr<const ConformityReport> conformity;  // of the first model; null when it was not asked for
  std::vector<BarResult> results;

  bool ok() const;  // no bar is missed
};

// What is done now ("vectors efficientnet_lite1"), of how much. Called by one thread at a time.
using RelevanceProgress = std::function<void(std::string_view stage, size_t done, size_t total)>;

// Errors: those of ReadLabelledFolder, ReadLabelledLines, DeepExtractor::Create and Extract, and of the cache;
// InvalidArgument for options that make no sense, or when no picture has another of its label.
absl::StatusOr<RelevanceReport> EvaluateRelevance(const RelevanceOptions& options,
                                                  const RelevanceProgress& progress = nullptr);

// One line: `queries`, `models`, `results` and more; docs/evaluation.md names every field.
std::string RelevanceReportToJson(const RelevanceReport& report);

// One file that needs nothing else: style, plots and pictures are in it.
std::string RelevanceReportToHtml(const RelevanceReport& report);

}  // namespace likeness
