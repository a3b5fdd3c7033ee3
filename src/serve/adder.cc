#include "serve/adder.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "base/thread_pool.h"
#include "image/decode.h"
#include "pipeline/work.h"
#include "store/object_keys.h"

namespace likeness {
namespace {

constexpr size_t kMostInCommit = 64;
// Where the oldest has waited so long, another would be found too late: it is refused at once instead.
constexpr std::chrono::milliseconds kPatience{1000};

// Searches go first: this thread runs on what they leave over.
void LowerPriority() {
  // The niceness of a thread, on Linux: PRIO_PROCESS with its own number.
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), 19);
}

// A wait until the end of time overflows in some libraries; an hour is for ever here.
std::chrono::steady_clock::time_point Until(Deadline deadline) {
  return std::min(deadline.when(), std::chrono::steady_clock::now() + std::chrono::hours(1));
}

absl::Status Stopping() { return absl::UnavailableError("The server is stopping; send the picture again."); }

}  // namespace

Adder::Adder(SearchService& service, const AdderOptions& options)
    : service_(service), home_(service.home()), options_(options) {
  for (size_t i = 0; i < std::max<size_t>(1, options_.threads); ++i) threads_.emplace_back([this] { Compute(); });
  committer_ = std::thread([this] { Commit(); });
  service_.SetPrepare(
      [this](const Serving& next, const std::vector<Signature>& lacking) { return PrepareRelease(next, lacking); });
}

Adder::~Adder() {
  service_.SetPrepare(nullptr);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const JobPtr& job : queue_) {
      job->done = true;
      job->answer = Stopping();
      in_flight_.erase(job->image.signature);
    }
    queue_.clear();
  }
  work_.notify_all();
  done_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  {
    const std::lock_guard lock(mutex_);
    computed_all_ = true;
  }
  ready_.notify_all();
  committer_.join();
}

absl::Status Adder::Own() {
  const std::lock_guard lock(owner_mutex_);
  if (owner_lock_.get() >= 0) return absl::OkStatus();
  const std::filesystem::path path = home_.path() / "young.lock";
  Descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (fd.get() < 0) return ErrnoStatus(errno, "cannot create " + path.string());
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "cannot lock " + path.string());
    return absl::FailedPreconditionError(
        "Another server of this collection takes pictures in; send them there: this one finds them within 2 s.");
  }
  LIKENESS_RETURN_IF_ERROR(service_.live().Own());
  owner_lock_ = std::move(fd);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Extractors>> Adder::CurrentOnes() {
  const std::lock_guard lock(owner_mutex_);
  if (extractors_ == nullptr) {
    LIKENESS_ASSIGN_OR_RETURN(Extractors made, CurrentExtractors(home_));
    extractors_ = std::make_shared<const Extractors>(std::move(made));
  }
  return extractors_;
}

absl::Status Adder::Warm() {
  LIKENESS_RETURN_IF_ERROR(CurrentOnes().status());
  LIKENESS_RETURN_IF_ERROR(Own());
  const std::lock_guard lock(mutex_);
  tidy_ = true;
  work_.notify_one();
  return absl::OkStatus();
}

absl::StatusOr<AddedPicture> Adder::Add(const NewPicture& picture, Deadline deadline) {
  if (picture.image.empty()) return absl::InvalidArgumentError("The picture is empty; send the bytes of a file.");
  const ImageLimits& limits = home_.config().image;
  if (picture.image.size() > limits.max_bytes) {
    return absl::OutOfRangeError("the file has " + std::to_string(picture.image.size()) +
                                 " bytes, the limit (image.max_bytes) is " + std::to_string(limits.max_bytes));
  }
  LIKENESS_ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(picture.image, limits));
  LIKENESS_RETURN_IF_ERROR(Own());
  const auto job = std::make_shared<Job>();
  job->image.signature = Signature::Of(picture.image);
  job->image.format = header.format;
  job->image.bytes = picture.image.size();
  job->image.width = header.width;
  job->image.height = header.height;
  job->image.epoch = Epoch::Of(Clock::System().Now());
  job->image.location = "object:" + ImageKey(job->image.signature);
  job->bytes = AsText(picture.image);
  job->pin = picture.pin;
  job->pin.image = job->image.signature;
  if (job->pin.id.empty()) job->pin.id = "upload:" + job->image.signature.Hex();
  if (job->pin.board_title.empty()) job->pin.board_title = job->pin.board;
  job->has_words = picture.has_words;

  std::unique_lock lock(mutex_);
  while (true) {
    const auto same = in_flight_.find(job->image.signature);
    if (same == in_flight_.end()) break;
    // The same bytes are on their way: what they become is what these are.
    const JobPtr other = same->second;
    if (!done_.wait_until(lock, Until(deadline), [&] { return other->done; })) {
      return absl::DeadlineExceededError("The request took too long; ask again later.");
    }
  }
  in_flight_[job->image.signature] = job;
  lock.unlock();
  absl::StatusOr<std::optional<AddedPicture>> known = AddKnown(*job);
  if (!known.ok()) {
    Finish(job, known.status());
  } else if (*known) {
    Finish(job, **std::move(known));
  }
  lock.lock();
  if (!job->done) {
    job->deadline = deadline;
    job->queued = std::chrono::steady_clock::now();
    const bool late = !queue_.empty() && job->queued - queue_.front()->queued > kPatience;
    if (stopping_ || late || queue_.size() >= options_.waiting ||
        queued_bytes_ + job->bytes.size() > options_.waiting_bytes) {
      in_flight_.erase(job->image.signature);
      job->done = true;
      job->answer =
          absl::UnavailableError("The server has as many new pictures as it can take in; send it again in 1 s.");
      done_.notify_all();
    } else {
      queued_bytes_ += job->bytes.size();
      queue_.push_back(job);
      work_.notify_one();
    }
  }
  return Wait(job, lock, deadline);
}

absl::StatusOr<AddedPicture> Adder::Wait(const JobPtr& job, std::unique_lock<std::mutex>& lock, Deadline deadline) {
  if (done_.wait_until(lock, Until(deadline), [&] { return job->done; })) return job->answer;
  return absl::DeadlineExceededError("The request took too long; send the picture again, which does no harm.");
}

absl::StatusOr<std::optional<AddedPicture>> Adder::AddKnown(Job& job) {
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<ImageRecord> image, home_.catalog().Image(job.image.signature));
  if (!image) return std::nullopt;
  const std::shared_ptr<const Serving> serving = service_.serving();
  if (serving == nullptr || !serving->snapshot->Find(job.image.signature)) return std::nullopt;
  if (!image->removed && service_.live().Finds(job.image.signature) && !job.has_words) {
    return AddedPicture{image->signature, image->format, image->width, image->height, false, true, {}};
  }
  if (image->removed) {
    const absl::Status put = home_.objects().Put(ImageKey(job.image.signature), AsBytes(job.bytes));
    if (!put.ok()) return put;
  }
  Addition addition{{}, job.image, job.pin, /*revive=*/true};
  if (!job.has_words) {  // A pin that says nothing does not stand beside one that does.
    LIKENESS_ASSIGN_OR_RETURN(const std::vector<Pin> pins, home_.catalog().Pins({&job.image.signature, 1}));
    if (!pins.empty()) addition.pin.reset();
  }
  LIKENESS_RETURN_IF_ERROR(home_.catalog().Record({&addition, 1}));
  LIKENESS_RETURN_IF_ERROR(service_.live().FollowHidden());
  // It may have left the young segments while it was removed: then it comes in like a new one.
  if (!service_.live().Finds(job.image.signature)) return std::nullopt;
  return AddedPicture{image->signature, image->format, image->width, image->height, image->removed, true, {}};
}

void Adder::Finish(const JobPtr& job, absl::StatusOr<AddedPicture> answer) {
  {
    const std::lock_guard lock(mutex_);
    job->answer = std::move(answer);
    job->done = true;
    in_flight_.erase(job->image.signature);
  }
  done_.notify_all();
}

void Adder::Compute() {
  LowerPriority();
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stopping_ || !queue_.empty() || (tidy_ && !tidying_); });
    if (stopping_) return;
    if (tidy_ && !tidying_) {
      tidying_ = true;
      tidy_ = false;
      lock.unlock();
      const absl::StatusOr<bool> more = service_.live().TidyOnce();
      if (!more.ok()) Log(LogLevel::kWarning, "young_merge", {{"reason", MessageOf(more.status())}});
      lock.lock();
      tidying_ = false;
      if (more.ok() && *more) tidy_ = true;
      if (queue_.empty()) continue;
    }
    if (queue_.empty()) continue;
    const JobPtr job = queue_.front();
    queue_.pop_front();
    queued_bytes_ -= job->bytes.size();
    lock.unlock();
    const absl::Status status = job->deadline.Passed()
                                    ? absl::DeadlineExceededError("The request took too long; send the picture again.")
                                    : ComputeOne(*job);
    if (!status.ok()) Finish(job, status);
    lock.lock();
    if (status.ok()) {
      computed_.push_back(job);
      ready_.notify_one();
    }
  }
}

absl::Status Adder::ComputeOne(Job& job) {
  LIKENESS_ASSIGN_OR_RETURN(const auto extractors, CurrentOnes());
  // What was computed once is not computed again: by a run, or for an answer that a dead server never gave.
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<ImageRecord> known, home_.catalog().Image(job.image.signature));
  PictureFeatures have = YoungFeatures(service_.live().YoungObjects(), job.image.signature);
  const auto take = [&](PictureFeatures more) {
    if (!more.features.empty() && more.size.width > 0) have.size = more.size;
    for (PictureFeatures::One& one : more.features) {
      const auto same = [&](const PictureFeatures::One& other) { return other.key == one.key; };
      if (std::ranges::none_of(have.features, same)) have.features.push_back(std::move(one));
    }
  };
  if (known) {
    LIKENESS_ASSIGN_OR_RETURN(PictureFeatures stored, StoredFeatures(home_, *known, *extractors));
    take(std::move(stored));
  }
  Extractors missing;
  for (const auto& extractor : *extractors) {
    const auto same = [&](const PictureFeatures::One& one) { return one.key == extractor->key(); };
    if (std::ranges::none_of(have.features, same)) missing.push_back(extractor);
  }
  if (!missing.empty()) {
    LIKENESS_ASSIGN_OR_RETURN(PictureFeatures computed, ComputeFeatures(home_, AsBytes(job.bytes), missing));
    take(std::move(computed));
  }
  job.features = std::move(have);
  // The same content under the same name: put again it does no harm.
  const absl::Status put = home_.objects().Put(ImageKey(job.image.signature), AsBytes(job.bytes), {.if_absent = true});
  return absl::IsAlreadyExists(put) ? absl::OkStatus() : put;
}

void Adder::Commit() {
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return computed_all_ || !computed_.empty(); });
    if (computed_.empty()) return;
    const size_t count = std::min(computed_.size(), kMostInCommit);
    const std::vector<JobPtr> batch(computed_.begin(), computed_.begin() + static_cast<std::ptrdiff_t>(count));
    computed_.erase(computed_.begin(), computed_.begin() + static_cast<std::ptrdiff_t>(count));
    lock.unlock();
    const absl::Status status = CommitBatch(batch);
    if (!status.ok()) {
      for (const JobPtr& job : batch) Finish(job, status);
    }
    lock.lock();
    tidy_ = true;
    work_.notify_one();
  }
}

// Values first: a server that dies between the two leaves features of a picture that nobody knows, which are used when
// it is sent again. The other way round they would be lost.
absl::Status Adder::CommitBatch(std::span<const JobPtr> batch) {
  std::vector<YoungPicture> pictures;
  std::vector<Addition> additions;
  std::vector<Signature> signatures;
  for (const JobPtr& job : batch) signatures.push_back(job->image.signature);
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> before, home_.catalog().Images(signatures));
  std::map<Signature, ImageRecord> known;
  for (const ImageRecord& image : before) known[image.signature] = image;
  for (const JobPtr& job : batch) {
    pictures.push_back({job->image.signature, job->features});
    const auto old = known.find(job->image.signature);
    // A pin that says nothing does not take the place of one that does.
    std::optional<Pin> pin = job->pin;
    if (old != known.end() && !job->has_words) {
      LIKENESS_ASSIGN_OR_RETURN(const std::vector<Pin> pins, home_.catalog().Pins({&job->image.signature, 1}));
      if (!pins.empty()) pin.reset();
    }
    additions.push_back({{}, job->image, std::move(pin), /*revive=*/true});
  }
  LIKENESS_ASSIGN_OR_RETURN(const auto object, WriteYoung(home_, pictures));
  if (const absl::Status recorded = home_.catalog().Record(additions); !recorded.ok()) {
    (void)home_.objects().Delete(object->key);
    return recorded;
  }
  LIKENESS_RETURN_IF_ERROR(service_.live().Add(object));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> after, home_.catalog().Images(signatures));
  std::map<Signature, std::string> set_aside;
  for (const ImageRecord& image : after) set_aside[image.signature] = image.reason;
  const std::shared_ptr<const Serving> serving = service_.serving();
  for (const JobPtr& job : batch) {
    const auto old = known.find(job->image.signature);
    if (const std::string& reason = set_aside[job->image.signature]; !reason.empty()) {
      Finish(job, absl::FailedPreconditionError("The collection has set this picture aside: " + reason));
      continue;
    }
    AddedPicture added{job->image.signature,
                       job->image.format,
                       job->image.width,
                       job->image.height,
                       old == known.end(),
                       service_.live().Finds(job->image.signature),
                       {}};
    if (old != known.end() && old->second.removed) {
      added.is_new = true;
      // Whoever removed it may have deleted the bytes after they were kept again.
      const absl::Status put =
          home_.objects().Put(ImageKey(job->image.signature), AsBytes(job->bytes), {.if_absent = true});
      if (!put.ok() && !absl::IsAlreadyExists(put)) {
        Finish(job, put);
        continue;
      }
    }
    if (!added.searchable) {
      added.reason = serving == nullptr
                         ? "nothing is indexed yet: run `likeness fingerprint` and `likeness index`"
                         : "the release is built with another version of the features: run `likeness fingerprint` and "
                           "`likeness index`";
    }
    Finish(job, std::move(added));
  }
  return absl::OkStatus();
}

// A release of another version of the features comes: young pictures get that version before it serves.
absl::Status Adder::PrepareRelease(const Serving& next, const std::vector<Signature>& lacking) {
  constexpr size_t kMost = 2000;  // more are left to the next fingerprint run, for the release has waited long enough
  {
    const std::lock_guard lock(owner_mutex_);
    if (owner_lock_.get() < 0) return absl::OkStatus();  // Whoever took them in does it.
  }
  // The configuration may be another one than when this process began.
  LIKENESS_ASSIGN_OR_RETURN(const auto fresh, Home::Open(home_.path(), /*create=*/false));
  absl::StatusOr<Extractors> made = CurrentExtractors(*fresh);
  const auto has = [&](const auto& one) { return one->key() == next.feature; };
  if (!made.ok() || std::ranges::none_of(*made, has)) {
    Log(LogLevel::kWarning, "young_not_searchable",
        {{"images", std::to_string(lacking.size())}, {"feature", next.feature.ToString()}});
    return absl::OkStatus();
  }
  const auto extractors = std::make_shared<const Extractors>(*std::move(made));
  const std::vector<Signature> some(lacking.begin(),
                                    lacking.begin() + static_cast<std::ptrdiff_t>(std::min(kMost, lacking.size())));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> images, home_.catalog().Images(some));
  const auto objects = service_.live().YoungObjects();
  std::vector<std::optional<YoungPicture>> pictures(images.size());
  ParallelFor(images.size(), std::max<size_t>(1, options_.threads), [&](size_t i) {
    const absl::StatusOr<std::string> bytes = home_.ReadImage(images[i]);
    if (!bytes.ok()) return;
    PictureFeatures have = YoungFeatures(objects, images[i].signature);
    Extractors missing;
    for (const auto& extractor : *extractors) {
      const auto same = [&](const PictureFeatures::One& one) { return one.key == extractor->key(); };
      if (std::ranges::none_of(have.features, same)) missing.push_back(extractor);
    }
    absl::StatusOr<PictureFeatures> more = ComputeFeatures(*fresh, AsBytes(*bytes), missing);
    if (!more.ok()) return;
    have.size = more->size;
    for (PictureFeatures::One& one : more->features) have.features.push_back(std::move(one));
    pictures[i] = YoungPicture{images[i].signature, std::move(have)};
  });
  std::vector<YoungPicture> computed;
  for (auto& picture : pictures) {
    if (picture) computed.push_back(*std::move(picture));
  }
  if (!computed.empty()) {
    LIKENESS_ASSIGN_OR_RETURN(const auto object, WriteYoung(home_, computed));
    LIKENESS_RETURN_IF_ERROR(service_.live().Add(object));
  }
  const std::lock_guard lock(owner_mutex_);
  extractors_ = extractors;
  return absl::OkStatus();
}

}  // namespace likeness
