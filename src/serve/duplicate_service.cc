#include "serve/duplicate_service.h"

#include <sys/resource.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "base/log.h"
#include "pipeline/home.h"
#include "product/collection_duplicates.h"
#include "store/release.h"

namespace likeness {
namespace {

constexpr int kLowPriority = 10;  // nice

absl::Status TimeIsOver() { return absl::DeadlineExceededError("the time for this request is over"); }

}  // namespace

// A run over all images of a release.
struct DuplicateService::Run {
  std::shared_ptr<const CollectionDuplicates> duplicates;
  std::atomic<uint64_t> done = 0, images = 0;
  std::atomic<bool> stop = false, ended = false;
  CollectionDuplicates::Clusters clusters;  // once it has ended
  std::thread thread;

  // `threads` of low priority, as those that they start inherit it.
  void Start(size_t threads) {
    images = duplicates->snapshot().doc_count();
    thread = std::thread([this, threads] {
      ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kLowPriority);
      FindPairsOptions options;
      options.threads = threads;
      options.stop = &stop;
      options.progress = [this](uint64_t at, uint64_t total) {
        done = at;
        images = total;
      };
      const absl::StatusOr<std::unique_ptr<DuplicateLog>> log = duplicates->OpenLog();
      if (!log.ok()) Log(LogLevel::kWarning, "duplicates_not_kept", {{"reason", MessageOf(log.status())}});
      clusters = duplicates->FindClusters(options, log.ok() ? log->get() : nullptr);
      ended = true;
    });
  }
  ~Run() {
    stop = true;
    if (thread.joinable()) thread.join();
  }
};

DuplicateService::DuplicateService(Home& home) : home_(home) {}
DuplicateService::~DuplicateService() = default;

absl::StatusOr<std::shared_ptr<const CollectionDuplicates>> DuplicateService::Current() {
  LIKENESS_ASSIGN_OR_RETURN(const std::optional<CurrentRelease> current, ReadCurrent(home_.objects()));
  const auto opened = [&]() -> std::shared_ptr<const CollectionDuplicates> {
    const std::lock_guard lock(mutex_);
    if (!current || current_ == nullptr || current_->snapshot().name() != current->name) return nullptr;
    return current_;
  };
  if (auto known = opened()) return known;
  const std::lock_guard opening(opening_);
  if (auto known = opened()) return known;  // Another was quicker.
  LIKENESS_ASSIGN_OR_RETURN(std::shared_ptr<const CollectionDuplicates> fresh, CollectionDuplicates::Open(home_));
  const std::lock_guard lock(mutex_);
  current_ = fresh;
  return fresh;
}

std::vector<DuplicateImage> DuplicateService::Images(const CollectionDuplicates& duplicates,
                                                     std::span<const uint64_t> documents) const {
  std::vector<DuplicateImage> images;
  std::vector<Signature> signatures;
  for (const uint64_t document : documents) {
    const Snapshot::Place place = duplicates.snapshot().At(document);
    const Segment::Size size = duplicates.snapshot().segments()[place.segment]->size(place.doc);
    images.push_back({duplicates.signature(document), size.width, size.height, {}, {}});
    signatures.push_back(images.back().signature);
  }
  // Facts that cannot be had are left out: the pictures are duplicates all the same.
  std::map<Signature, std::string> sources;
  for (const ImageRecord& image : home_.catalog().Images(signatures).value_or(std::vector<ImageRecord>{})) {
    sources[image.signature] = image.location.substr(image.location.find(':') + 1);
  }
  std::map<Signature, std::vector<Pin>> pins;
  for (Pin& pin : home_.catalog().Pins(signatures).value_or(std::vector<Pin>{})) {
    pins[pin.image].push_back(std::move(pin));
  }
  for (DuplicateImage& image : images) {
    image.source = sources[image.signature];
    image.pins = pins[image.signature];
  }
  return images;
}

absl::StatusOr<std::set<uint64_t>> DuplicateService::Removed(const CollectionDuplicates& duplicates,
                                                             std::span<const uint64_t> documents) const {
  std::vector<Signature> signatures;
  for (const uint64_t document : documents) signatures.push_back(duplicates.signature(document));
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> images, home_.catalog().Images(signatures));
  std::set<Signature> removed;
  for (const ImageRecord& image : images) {
    if (image.removed) removed.insert(image.signature);
  }
  std::set<uint64_t> found;
  for (size_t i = 0; i < documents.size(); ++i) {
    if (removed.contains(signatures[i])) found.insert(documents[i]);
  }
  return found;
}

absl::StatusOr<DuplicatesAnswer> DuplicateService::Find(const DuplicatesRequest& request) {
  const Stopwatch watch;
  if (request.image.empty() != request.signature.has_value()) {
    return absl::InvalidArgumentError("give either a picture or the signature of a known image");
  }
  LIKENESS_ASSIGN_OR_RETURN(const auto duplicates, Current());
  if (request.deadline.Passed()) return TimeIsOver();
  DuplicatesAnswer answer;
  answer.release = duplicates->snapshot().name();
  answer.query = request.signature ? *request.signature : Signature::Of(request.image);
  LIKENESS_ASSIGN_OR_RETURN(const DuplicateQuery query, request.signature ? duplicates->QueryOf(*request.signature)
                                                                          : duplicates->QueryOf(request.image));
  answer.width = query.width();
  answer.height = query.height();
  answer.decode_ms = watch.Milliseconds();
  if (request.deadline.Passed()) return TimeIsOver();
  DuplicateAnswer found = duplicates->Find(query, {}, request.signature);
  answer.verified = found.verified;
  answer.compared = found.compared;
  answer.unreadable = found.unreadable;
  std::vector<uint64_t> documents;
  for (const DuplicateMatch& match : found.matches) documents.push_back(match.document);
  LIKENESS_ASSIGN_OR_RETURN(const std::set<uint64_t> removed, Removed(*duplicates, documents));
  std::erase_if(found.matches, [&](const DuplicateMatch& match) { return removed.contains(match.document); });
  if (found.matches.size() > request.limit) found.matches.resize(request.limit);
  documents.clear();
  for (const DuplicateMatch& match : found.matches) documents.push_back(match.document);
  std::vector<DuplicateImage> images = Images(*duplicates, documents);
  for (size_t i = 0; i < images.size(); ++i) {
    DuplicateMatch& match = found.matches[i];
    answer.matches.push_back({std::move(images[i]), match.verdict, match.score, std::move(match.evidence)});
  }
  answer.total_ms = watch.Milliseconds();
  return answer;
}

absl::StatusOr<DuplicateClusterPage> DuplicateService::Clusters(uint64_t offset, size_t limit) {
  LIKENESS_ASSIGN_OR_RETURN(const auto duplicates, Current());
  std::shared_ptr<Run> run, old;  // the old one's thread is waited for without the lock
  {
    const std::lock_guard lock(mutex_);
    if (run_ == nullptr || run_->duplicates != duplicates) {
      old = std::exchange(run_, std::make_shared<Run>());
      run_->duplicates = duplicates;
      run_->Start(home_.config().threads);
    }
    run = run_;
  }
  if (old != nullptr) old->stop = true;
  DuplicateClusterPage page;
  page.release = duplicates->snapshot().name();
  page.running = !run->ended;
  page.done = run->done;
  page.images = run->images;
  if (page.running) return page;
  const CollectionDuplicates::Clusters& all = run->clusters;
  page.done = page.images = all.images;
  page.unreadable = all.unreadable;
  page.total = all.clusters.size();
  for (uint64_t i = offset; i < page.total && page.clusters.size() < limit; ++i) {
    const DuplicateCluster& cluster = all.clusters[i];
    std::vector<uint64_t> documents = {cluster.representative};
    for (const DuplicateCluster::Member& member : cluster.members) documents.push_back(member.document);
    LIKENESS_ASSIGN_OR_RETURN(const std::set<uint64_t> removed, Removed(*duplicates, documents));
    // The evidence of the others is about the one that they are compared with.
    if (removed.contains(cluster.representative) || removed.size() == cluster.members.size()) continue;
    std::vector<DuplicateImage> images = Images(*duplicates, documents);
    DuplicateClusterPage::Cluster out{std::move(images[0]), {}};
    for (size_t m = 0; m < cluster.members.size(); ++m) {
      const DuplicateCluster::Member& member = cluster.members[m];
      if (removed.contains(member.document)) continue;
      out.members.push_back({std::move(images[m + 1]), DuplicateVerdict::kSame, member.score, member.evidence});
    }
    page.clusters.push_back(std::move(out));
  }
  return page;
}

}  // namespace likeness
