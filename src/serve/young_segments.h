// The pictures that no release has yet, as small segments beside those of the release: what makes a new picture
// searchable at once.
//
// Log-structured: each write of the adder is one young batch (pipeline/young.h) and one segment; small ones are merged
// into larger ones step by step, so that there are few at any time and every picture is written a few times in all.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "feature/binarizer.h"
#include "index/snapshot.h"
#include "pipeline/young.h"
#include "store/release.h"

namespace likeness {

// What young segments are built with: the features of a release and their binarizers. Constant.
struct YoungRecipe {
  std::vector<Release::Feature> features;
  std::map<FeatureKey, Binarizer> binarizers;  // of the deep ones
  FeatureKey query;                            // a picture without it is not searchable
  std::optional<FeatureKey> words;             // whose visual words are indexed; nothing: none are

  // Errors: those of reading binarizers.
  static absl::StatusOr<std::shared_ptr<const YoungRecipe>> Read(Home& home, const Release& release,
                                                                 const FeatureKey& query);
};

// A batch and its segment; null when no picture of it has the feature that queries are compared by. Beside the segment
// lie the visual words of its pictures and what the catalog says of them at this moment.
struct YoungItem {
  std::shared_ptr<const YoungObject> object;
  Snapshot::Part part = {};
};

// Errors: those of the catalog. A disk that has no room for the words leaves them out, which is logged: the pictures
// are found by their look.
absl::StatusOr<YoungItem> BuildYoungItem(Home& home, std::shared_ptr<const YoungObject> object,
                                         const YoungRecipe& recipe);

// Which of the items are to be one: four or more of about one size, or those that hold mostly pictures which are no
// longer wanted. Places in `sizes`, ascending; empty when there is nothing to do. `sizes`: pictures of each item;
// `wanted`: how many of them are.
std::vector<size_t> PlanMerge(std::span<const size_t> sizes, std::span<const size_t> wanted);

inline constexpr size_t kYoungFanIn = 4;          // segments of about one size that become one
inline constexpr size_t kMostYoungImages = 8192;  // in one segment: a merge stays a short piece of work

}  // namespace likeness
