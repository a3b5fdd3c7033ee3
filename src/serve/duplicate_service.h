// The duplicates of a picture, and those of the collection, for the API (docs/duplicates.md has the rules).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "product/duplicate_finder.h"
#include "types/pin.h"
#include "types/signature.h"

namespace likeness {

class CollectionDuplicates;
class Home;
class YoungDuplicates;
struct Serving;

inline constexpr size_t kMaxDuplicates = 100;  // matches of a picture, clusters of a page

// A picture to look for, one of the two.
struct DuplicatesRequest {
  std::span<const std::byte> image;    // an uploaded file's bytes; empty when `signature` is given
  std::optional<Signature> signature;  // an image of the collection, which is not its own duplicate
  size_t limit = kMaxDuplicates;
  Deadline deadline = Deadline::Never();
};

struct DuplicateImage {
  Signature signature;
  uint32_t width = 0;  // pixels of the upright original
  uint32_t height = 0;
  std::string source;  // path of the file or key of the object
  std::vector<Pin> pins;
};

struct DuplicatesAnswer {
  struct Match {
    DuplicateImage image;
    DuplicateVerdict verdict = DuplicateVerdict::kSame;
    float score = 0;
    DuplicateEvidence evidence;
  };
  std::string release;
  Signature query;
  uint32_t width = 0;
  uint32_t height = 0;
  std::vector<Match> matches;                           // SAME before SIMILAR, then by falling score
  uint64_t verified = 0, compared = 0, unreadable = 0;  // DuplicateAnswer
  double decode_ms = 0, total_ms = 0;                   // bytes to features; all of it
};

// A page of the clusters of the collection. While they are being looked for there are none.
struct DuplicateClusterPage {
  struct Cluster {
    DuplicateImage representative;
    std::vector<DuplicatesAnswer::Match> members;  // each the same as the representative; evidence has it as query
  };
  std::string release;
  bool running = false;
  uint64_t done = 0;        // images that were asked
  uint64_t images = 0;      // to be asked
  uint64_t unreadable = 0;  // could not be
  uint64_t total = 0;       // clusters
  std::vector<Cluster> clusters;
};

// Any thread. What it needs of a release (hashes and visual words) is loaded at the first question, which then takes
// longer than those after it, and again after a switch of releases.
class DuplicateService {
 public:
  // What is served now, for the pictures that no release has yet; may give null.
  using ServedNow = std::function<absl::StatusOr<std::shared_ptr<const Serving>>()>;

  // `home` must outlive the service. Without `served` only the release is looked at.
  explicit DuplicateService(Home& home, ServedNow served = nullptr);
  ~DuplicateService();  // ends a run over the collection
  DuplicateService(const DuplicateService&) = delete;
  DuplicateService& operator=(const DuplicateService&) = delete;

  // Errors: InvalidArgument (neither or both pictures), NotFound (no such image in the release or young),
  // FailedPrecondition (nothing is indexed, or without the features that this needs), DeadlineExceeded, data errors of
  // DecodeImage.
  absl::StatusOr<DuplicatesAnswer> Find(const DuplicatesRequest& request);

  // The first call after a switch of releases starts a run over all images in the background, on the configured
  // threads at low priority; until it has ended the page says how far it is. Errors: FailedPrecondition, as Find.
  absl::StatusOr<DuplicateClusterPage> Clusters(uint64_t offset, size_t limit);

 private:
  struct Run;
  absl::StatusOr<std::shared_ptr<const CollectionDuplicates>> Current();
  // Those of the pictures that no release has yet; null where there are none.
  absl::StatusOr<std::shared_ptr<const YoungDuplicates>> Young(const CollectionDuplicates& duplicates);
  absl::StatusOr<DuplicateQuery> QueryOf(const DuplicatesRequest& request, const CollectionDuplicates& duplicates,
                                         const YoungDuplicates* young) const;
  // Those that are removed from the collection.
  absl::StatusOr<std::set<Signature>> Removed(std::span<const Signature> signatures) const;
  // Fills in what the catalog knows of them.
  void Describe(std::span<DuplicateImage* const> images) const;

  Home& home_;
  const ServedNow served_;
  std::mutex opening_;  // held while a release is opened
  std::mutex mutex_;
  std::shared_ptr<const CollectionDuplicates> current_;  // guarded by mutex_
  std::shared_ptr<Run> run_;                             // guarded by mutex_
  std::shared_ptr<const Serving> young_of_;              // guarded by mutex_: what young_ was made of
  std::shared_ptr<const YoungDuplicates> young_;         // guarded by mutex_
};

}  // namespace likeness
