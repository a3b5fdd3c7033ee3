// How well altered copies are found, and whether different photographs are told apart: docs/duplicates.md.
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
#include "eval/duplicate_variants.h"
#include "product/duplicate_finder.h"

namespace likeness {

struct DuplicateEvalOptions {
  std::filesystem::path data;        // the folder with ccp/photos, clothing and products/images
  std::filesystem::path vocabulary;  // a file
  std::filesystem::path cache;       // keeps the features of the pictures searched; empty: none
  std::filesystem::path dump;        // a file of tab-separated lines, one for each pair compared; empty: none
  std::filesystem::path misses;      // a folder for the altered copies whose original is not found; empty: none
  std::filesystem::path scenes;      // more pairs that are one photograph: ReadScenes
  std::vector<std::string> rows;     // names of those that are asked; empty: all
  size_t queries = 300;              // pictures of ccp and clothing, half each, of which every row has one altered copy
  size_t distractors = 8000;         // other pictures searched, of all three sets
  size_t products = 1500;            // pictures of products asked for, in one drawn alteration each
  uint64_t seed = 20260722;
  size_t threads = 1;
};

// One alteration.
struct DuplicateRow {
  std::string name;
  double recall_bar = 0;
  size_t queries = 0;
  size_t found = 0;                               // whose original is called SAME
  size_t set_queries[2] = {}, set_found[2] = {};  // of ccp, of clothing
  size_t proposed = 0;                            // whose original was among those compared
  size_t wrong = 0;                               // pairs called SAME that are not
  size_t hash_alone = 0;                          // found without keypoints
  double recall() const { return queries == 0 ? 0 : static_cast<double>(found) / static_cast<double>(queries); }
};

// A pair of files that is one photograph, by a strict comparison of the files as they are, or as known.
struct SameScene {
  std::string a, b;
  bool known = false;  // KnownScenes, or the file of more
  float correlation = 0, agreeing = 0;
};

// An altered copy whose original is not called SAME, and where it was lost.
struct DuplicateMiss {
  std::string query;  // its original
  std::string alteration;
  DuplicateTrace trace;
};

// A pair called SAME that is not.
struct WrongSame {
  std::string query;  // its original
  std::string alteration;
  std::string found;
  float score = 0;
  size_t inliers = 0;
};

struct DuplicateReport {
  uint64_t seed = 0;
  size_t pictures = 0, distractors = 0, unreadable = 0, repeated = 0;
  std::vector<DuplicateRow> rows;
  size_t right = 0, wrong = 0;                    // pairs called SAME, of all rows
  size_t product_queries = 0, product_pairs = 0;  // pairs of different products' photographs that were judged
  size_t product_right = 0, product_wrong = 0;    // called SAME
  size_t product_similar = 0;                     // pairs called SIMILAR
  std::vector<SameScene> same_scenes;
  std::vector<WrongSame> wrongs;
  std::vector<DuplicateMiss> misses;  // of the rows and of the products
  double query_ms = 0;                // mean, of one thread: from JPEG bytes to the answer

  double precision() const;
  double product_precision() const;
  bool ok() const;
};
inline constexpr double kDuplicatePrecisionBar = 0.999;

using DuplicateProgress = std::function<void(std::string_view stage, size_t done, size_t total)>;

// Errors: NotFound without the pictures; those of the vocabulary and the cache; InvalidArgument when there are too few
// pictures for the options.
absl::StatusOr<DuplicateReport> EvaluateDuplicates(const DuplicateEvalOptions& options,
                                                   const DuplicateProgress& progress = nullptr);

std::string DuplicateReportToJson(const DuplicateReport& report);  // one line
std::string DuplicateReportToText(const DuplicateReport& report);

}  // namespace likeness
