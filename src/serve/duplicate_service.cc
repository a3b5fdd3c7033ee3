#include "serve/duplicate_service.h"

#include <sys/resource.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "base/log.h"
#include "pipeline/home.h"
#include "product/collection_duplicates.h"
#include "product/stored_pixels.h"
#include "product/young_duplicates.h"
#include "serve/serving.h"
#include "store/release.h"

namespace likeness {
namespace {

constexpr int kLowPriority = 10;  // nice

DuplicateImage ImageOf(const Snapshot& snapshot, uint64_t document) {
  const Snapshot::Place place = snapshot.At(document);
  const Segment::Size size = snapshot.segments()[place.segment]->size(place.doc);
  return {snapshot.signature(place), size.width, size.height, {}, {}};
}

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

DuplicateService::DuplicateService(Home& home, ServedNow served) : home_(home), served_(std::move(served)) {}
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

absl::StatusOr<std::shared_ptr<const YoungDuplicates>> DuplicateService::Young(const CollectionDuplicates& duplicates) {
  if (!served_) return nullptr;
  LIKENESS_ASSIGN_OR_RETURN(const std::shared_ptr<const Serving> serving, served_());
  const bool none = serving == nullptr || serving->snapshot->young() == 0;
  {
    const std::lock_guard lock(mutex_);
    if (young_of_ == serving) return young_;
    if (none) {
      young_of_ = nullptr;
      young_ = nullptr;
      return nullptr;
    }
  }
  LIKENESS_ASSIGN_OR_RETURN(
      std::shared_ptr<const YoungDuplicates> fresh,
      YoungDuplicates::Make(home_, duplicates.vocabulary(), serving->snapshot, serving->pinned, serving->young));
  const std::lock_guard lock(mutex_);
  young_of_ = serving;
  young_ = fresh;
  return fresh;
}

absl::StatusOr<DuplicateQuery> DuplicateService::QueryOf(const DuplicatesRequest& request,
                                                         const CollectionDuplicates& duplicates,
                                                         const YoungDuplicates* young) const {
  if (!request.signature) return duplicates.QueryOf(request.image);
  if (duplicates.snapshot().Find(*request.signature) || young == nullptr ||
      !young->snapshot().Find(*request.signature)) {
    return duplicates.QueryOf(*request.signature);
  }
  LIKENESS_ASSIGN_OR_RETURN(const Pixels pixels, ReadStoredPixels(home_, *request.signature));
  return DuplicateQuery::Of(pixels, duplicates.vocabulary());
}

void DuplicateService::Describe(std::span<DuplicateImage* const> images) const {
  std::vector<Signature> signatures;
  for (const DuplicateImage* image : images) signatures.push_back(image->signature);
  // Facts that cannot be had are left out: the pictures are duplicates all the same.
  std::map<Signature, std::string> sources;
  for (const ImageRecord& image : home_.catalog().Images(signatures).value_or(std::vector<ImageRecord>{})) {
    sources[image.signature] = image.location.substr(image.location.find(':') + 1);
  }
  std::map<Signature, std::vector<Pin>> pins;
  for (Pin& pin : home_.catalog().Pins(signatures).value_or(std::vector<Pin>{})) {
    pins[pin.image].push_back(std::move(pin));
  }
  for (DuplicateImage* image : images) {
    image->source = sources[image->signature];
    image->pins = pins[image->signature];
  }
}

absl::StatusOr<std::set<Signature>> DuplicateService::Removed(std::span<const Signature> signatures) const {
  LIKENESS_ASSIGN_OR_RETURN(const std::vector<ImageRecord> images, home_.catalog().Images(signatures));
  std::set<Signature> removed;
  for (const ImageRecord& image : images) {
    if (image.removed) removed.insert(image.signature);
  }
  return removed;
}

absl::StatusOr<DuplicatesAnswer> DuplicateService::Find(const DuplicatesRequest& request) {
  const Stopwatch watch;
  if (request.image.empty() != request.signature.has_value()) {
    return absl::InvalidArgumentError("give either a picture or the signature of a known image");
  }
  LIKENESS_ASSIGN_OR_RETURN(const auto duplicates, Current());
  LIKENESS_ASSIGN_OR_RETURN(const auto young, Young(*duplicates));
  if (request.deadline.Passed()) return TimeIsOver();
  DuplicatesAnswer answer;
  answer.release = duplicates->snapshot().name();
  answer.query = request.signature ? *request.signature : Signature::Of(request.image);
  LIKENESS_ASSIGN_OR_RETURN(const DuplicateQuery query, QueryOf(request, *duplicates, young.get()));
  answer.width = query.width();
  answer.height = query.height();
  answer.decode_ms = watch.Milliseconds();
  if (request.deadline.Passed()) return TimeIsOver();
  const auto take = [&](DuplicateAnswer found, const Snapshot& snapshot) {
    answer.verified += found.verified;
    answer.compared += found.compared;
    answer.unreadable += found.unreadable;
    for (DuplicateMatch& match : found.matches) {
      answer.matches.push_back(
          {ImageOf(snapshot, match.document), match.verdict, match.score, std::move(match.evidence)});
    }
  };
  take(duplicates->Find(query, {}, request.signature), duplicates->snapshot());
  if (young != nullptr) {
    take(young->Find(query, {}, request.signature), young->snapshot());
    // A release that is newer than what is served may have some of them already; ties stay in the release's order.
    const auto rank = [](const DuplicatesAnswer::Match& match) { return std::pair(match.verdict, -match.score); };
    std::ranges::stable_sort(answer.matches, {}, rank);
    std::set<Signature> seen;
    std::erase_if(answer.matches, [&](const auto& match) { return !seen.insert(match.image.signature).second; });
  }
  std::vector<Signature> signatures;
  for (const DuplicatesAnswer::Match& match : answer.matches) signatures.push_back(match.image.signature);
  LIKENESS_ASSIGN_OR_RETURN(const std::set<Signature> removed, Removed(signatures));
  std::erase_if(answer.matches, [&](const auto& match) { return removed.contains(match.image.signature); });
  if (answer.matches.size() > request.limit) answer.matches.resize(request.limit);
  std::vector<DuplicateImage*> images;
  for (DuplicatesAnswer::Match& match : answer.matches) images.push_back(&match.image);
  Describe(images);
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
    const Snapshot& snapshot = duplicates->snapshot();
    DuplicateClusterPage::Cluster out{ImageOf(snapshot, cluster.representative), {}};
    for (const DuplicateCluster::Member& member : cluster.members) {
      out.members.push_back(
          {ImageOf(snapshot, member.document), DuplicateVerdict::kSame, member.score, member.evidence});
    }
    std::vector<Signature> signatures = {out.representative.signature};
    for (const auto& member : out.members) signatures.push_back(member.image.signature);
    LIKENESS_ASSIGN_OR_RETURN(const std::set<Signature> removed, Removed(signatures));
    // The evidence of the others is about the one that they are compared with.
    if (removed.contains(out.representative.signature) || removed.size() == out.members.size()) continue;
    std::erase_if(out.members, [&](const auto& member) { return removed.contains(member.image.signature); });
    std::vector<DuplicateImage*> images = {&out.representative};
    for (DuplicatesAnswer::Match& member : out.members) images.push_back(&member.image);
    Describe(images);
    page.clusters.push_back(std::move(out));
  }
  return page;
}

}  // namespace likeness
