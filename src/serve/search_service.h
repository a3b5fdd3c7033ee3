// Everything that a face asks of a collection, without a face: the HTTP server and the command line stand on this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "feature/color_query.h"
#include "feature/deep.h"
#include "index/snapshot.h"
#include "pipeline/home.h"
#include "rank/floor.h"
#include "rank/root.h"
#include "rank/searcher.h"
#include "serve/admission.h"
#include "serve/batched_extractor.h"
#include "serve/live_serving.h"
#include "serve/serving.h"
#include "types/hit.h"
#include "types/region.h"

namespace likeness {

inline constexpr size_t kMaxHits = 1000;

// A color to look for: beside a picture "the same look, in red", alone "everything in red".
struct ColorWish {
  ColorQuery color;
  float weight = 0.5f;  // in [0, 1] of the score, the look having the rest; alone it has no influence
};

// What is done to the list of hits (rank/root.h).
struct RankingWish {
  bool collapse = true;  // near-duplicates become one hit
  // Hits that are not probably relevant are left out; unset: as [rank] floor of likeness.toml says. Without effect
  // where nothing calibrates the feature, or for a color alone.
  std::optional<bool> floor = {};
  std::optional<double> conformity = {};  // in [0, 1]: least conformity of a hit's words to those of the others
};

// A picture to look for, one of the two, whole or a region of it; a color; or both.
struct SearchRequest {
  std::span<const std::byte> image;    // an uploaded file's bytes; empty when `signature` is given
  std::optional<Signature> signature;  // a known image
  std::optional<Region> region;        // in pixels of the upright picture
  std::optional<ColorWish> color = {};
  size_t k = 24;  // 1..kMaxHits
  RankingWish ranking = {};
  bool tokens = true;  // asks the token index, too, where Signal::kTokens has a weight
  PinFilter filter;
  Deadline deadline = Deadline::Never();
};

struct SearchAnswer {
  struct Query {
    std::optional<Signature> signature;  // none when a color alone was asked for
    uint32_t width = 0;
    uint32_t height = 0;
    std::optional<Region> region;
    std::optional<ColorWish> color = {};
  };
  struct Result {
    Hit hit;
    std::string source;  // path of the file or key of the object
    std::vector<Pin> pins;
  };
  // Milliseconds of wall time.
  struct Timing {
    double decode = 0;  // bytes to pixels to tensor; 0 for a known image without a region
    double feature =
        0;              // tensor to code; keypoints are looked for meanwhile, and what they take longer is in the total
    double search = 0;  // filter, leaf, root
    double total = 0;   // all of it, with the facts of the results
  };
  // What probabilities were calibrated on: the pictures that the program was made with, or this collection. How sure a
  // hit is, is a fact with the latter alone.
  enum class Calibration { kShipped, kHome };
  std::string release;
  Query query;
  std::vector<Result> results;  // best first
  SignalWeights weights;        // that made the scores
  LeftOut left_out;
  std::optional<double> floor = {};             // the least probability, where the floor was applied
  std::optional<Calibration> calibration = {};  // of the hits' probabilities; none where they have none
  std::optional<float> conformity = {};  // of the answer; none when it was not asked for, or hardly any hit has words
  Coverage coverage;
  Timing ms;
};

struct ImageList {
  struct Item {
    Signature signature;
    uint32_t width = 0;
    uint32_t height = 0;
    std::string description;  // of its first pin
    std::string board;
    std::string board_title;
  };
  std::string release;  // that answered; empty before the first
  uint64_t total = 0;   // images that match
  std::vector<Item> images;
};

class SearchService {
 public:
  // `home` must outlive the service. Loads the current release, and the model with `threads` threads a query.
  // A home without a release is served all the same: it has no images yet.
  // `searcher`: who looks through the segments; null: this process.
  // Errors: those of the store and the model.
  static absl::StatusOr<std::unique_ptr<SearchService>> Open(Home& home, size_t threads,
                                                             std::unique_ptr<Searcher> searcher = nullptr);

  // All of the following may be called from any thread.

  // Errors: InvalidArgument (both of image and signature, neither and no color, k, region outside of the picture, a
  // weight or conformity beyond [0, 1]), NotFound (no such image), FailedPrecondition (nothing is indexed yet; no
  // colors are; its file holds other bytes now), data errors of DecodeImage.
  absl::StatusOr<SearchAnswer> Search(const SearchRequest& request);

  // What Search asks the leaves, with other weights. Errors: as Search.
  absl::StatusOr<VisualQuery> QueryFor(const SearchRequest& request, const Serving& serving,
                                       const SignalWeights& weights);

  // The colors of an image of the release; empty where it has none.
  ColorSignature Colors(const Signature& signature) const;

  // Images of the release in its order, from `offset`, at most `limit`.
  absl::StatusOr<ImageList> List(uint64_t offset, size_t limit, const PinFilter& filter);

  // Takes up the current release if it is another one and the searcher is ready for it; a query in flight keeps the old
  // one.
  absl::Status Reload();

  // Takes an image out for good: when it returns, no query finds it any more, here or, at the end of their search, in
  // other processes of the home. A copy of its bytes that the collection keeps is deleted. False when there is no such
  // image. Errors: those of catalog and store.
  absl::StatusOr<bool> Remove(const Signature& signature);

  // Called with a release before it serves, when there are young pictures that it could not search.
  using Prepare = std::function<absl::Status(const Serving& next, const std::vector<Signature>& lacking)>;
  void SetPrepare(Prepare prepare);

  // Loads the model that queries need, if it is not there yet, and makes it ready for many at once. Errors: as Search.
  absl::Status Warm();

  // May be null: nothing is indexed yet.
  std::shared_ptr<const Serving> serving() const { return live_.serving(); }

  LiveServing& live() { return live_; }
  Home& home() const { return home_; }
  const Searcher& searcher() const { return *searcher_; }

 private:
  SearchService(Home& home, size_t threads, std::unique_ptr<Searcher> searcher);

  // The segments of a release that is to be served next, opened once.
  absl::StatusOr<std::shared_ptr<const Snapshot>> Coming(const Release& release);
  // The query's code and what its pixels say besides, for the signals that have a weight, and the facts about it in
  // `answer`.
  absl::Status LookAt(const SearchRequest& request, const Serving& serving, VisualQuery& query, SearchAnswer& answer);
  absl::StatusOr<std::shared_ptr<BatchedExtractor>> Extractor(const Serving& serving);
  absl::StatusOr<VisualQuery> MakeQuery(const SearchRequest& request, const Serving& serving,
                                        const SignalWeights& weights, SearchAnswer& answer);
  absl::StatusOr<AllowedDocs> Allowed(const PinFilter& filter, const Serving& serving);

  Home& home_;
  const size_t threads_;
  const std::unique_ptr<Searcher> searcher_;
  LiveServing live_;
  Admission looking_;  // at pictures: a root lets in more requests than it can compute at once
  mutable std::mutex mutex_;
  Prepare prepare_;                                                     // guarded by mutex_
  std::shared_ptr<const Snapshot> coming_;                              // guarded by mutex_; not served yet
  std::map<FeatureKey, std::shared_ptr<BatchedExtractor>> extractors_;  // guarded by mutex_
};

}  // namespace likeness
