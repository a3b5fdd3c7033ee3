// Takes pictures in while the collection is served: bytes and facts as `likeness add` records them, features as a
// fingerprint run computes them, and a young segment, so that the picture is found at once. docs/online.md.
//
//   Add (any thread) -> queue -> adder threads at low priority: decode, extract, keep the bytes
//                    -> committer: one young batch, one catalog transaction, one young segment -> answers
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/status.h"
#include "pipeline/features.h"
#include "pipeline/young.h"
#include "serve/search_service.h"
#include "types/pin.h"

namespace likeness {

struct NewPicture {
  std::span<const std::byte> image;  // the file
  Pin pin;                           // id empty: one that the picture's signature gives; `image` is not read
  bool has_words = false;            // the caller stated something of the pin
};

struct AddedPicture {
  Signature signature;
  std::string format;
  uint32_t width = 0;  // pixels of the upright picture
  uint32_t height = 0;
  bool is_new = false;      // the collection did not have it, or it was removed
  bool searchable = false;  // queries find it from now on
  std::string reason;       // why they do not yet; empty when they do
};

struct AdderOptions {
  size_t threads = 1;   // that compute features
  size_t waiting = 64;  // pictures that may wait for one of them
  uint64_t waiting_bytes = uint64_t{256} << 20;
};

// Any thread. One process of a home at a time takes pictures in; the others say so.
class Adder {
 public:
  // `service` must outlive the adder. Computes nothing and loads nothing yet.
  Adder(SearchService& service, const AdderOptions& options);
  // Ends what was begun, and answers what waits with Unavailable.
  ~Adder();

  // Returns when the picture is durable and, where the answer says so, searchable. The same bytes again are the same
  // picture: they only add the pin. Nothing is stored of a picture that cannot be read.
  // Errors: InvalidArgument (empty); data errors of DecodeImage, OutOfRange (larger than image.max_bytes);
  // FailedPrecondition (another process takes pictures in, or the collection has set the picture aside); Unavailable
  // (too many wait); DeadlineExceeded: then the picture may come in all the same, and asking again tells.
  absl::StatusOr<AddedPicture> Add(const NewPicture& picture, Deadline deadline);

  // Loads what computes features, and becomes the process that takes pictures in, if none is. Errors: as Add.
  absl::Status Warm();

 private:
  struct Job {
    std::string bytes;
    ImageRecord image;
    Pin pin;
    bool has_words = false;
    Deadline deadline = Deadline::Never();  // nobody waits for the answer any more
    std::chrono::steady_clock::time_point queued{};
    PictureFeatures features;
    // Guarded by mutex_.
    bool done = false;
    absl::StatusOr<AddedPicture> answer = absl::UnavailableError("the server is stopping");
  };
  using JobPtr = std::shared_ptr<Job>;

  absl::Status Own();
  absl::StatusOr<std::shared_ptr<const Extractors>> CurrentOnes();
  // A picture that queries find already, or found until it was removed: only its facts change. Nothing when its
  // features are needed.
  absl::StatusOr<std::optional<AddedPicture>> AddKnown(Job& job);
  absl::StatusOr<AddedPicture> Wait(const JobPtr& job, std::unique_lock<std::mutex>& lock, Deadline deadline);

  void Compute();  // adder threads
  absl::Status ComputeOne(Job& job);
  void Commit();  // the committer
  absl::Status CommitBatch(std::span<const JobPtr> batch);
  void Finish(const JobPtr& job, absl::StatusOr<AddedPicture> answer);
  absl::Status PrepareRelease(const Serving& next, const std::vector<Signature>& lacking);

  SearchService& service_;
  Home& home_;
  const AdderOptions options_;

  std::mutex owner_mutex_;
  Descriptor owner_lock_;                         // guarded by owner_mutex_
  std::shared_ptr<const Extractors> extractors_;  // guarded by owner_mutex_

  std::mutex mutex_;
  std::condition_variable work_, ready_, done_;
  bool stopping_ = false;      // all of the following guarded by mutex_
  bool computed_all_ = false;  // the adder threads have ended
  std::deque<JobPtr> queue_;   // to be computed
  uint64_t queued_bytes_ = 0;
  std::map<Signature, JobPtr> in_flight_;  // not done
  std::vector<JobPtr> computed_;           // to be committed
  bool tidy_ = false;                      // there may be something to merge
  bool tidying_ = false;
  std::vector<std::thread> threads_;
  std::thread committer_;
};

}  // namespace likeness
