#include "cluster/fan_out.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <ranges>

#include "cluster/filter.h"
#include "cluster/rpc.h"
#include "cluster/wire.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kBudgetPause{50};
constexpr double kUnknownMs = 50;    // before there is a percentile
constexpr double kLeastHedgeMs = 5;  // sooner, a second request gains nothing

std::string Named(const LeafLink& leaf, const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return "leaf " + leaf.address() + " cannot be reached";
    case absl::StatusCode::kDeadlineExceeded:
      return "leaf " + leaf.address() + " did not answer in time";
    default:
      return "leaf " + leaf.address() + ": " + MessageOf(status);
  }
}

// What comes back from the library's threads; outlives the query when calls do.
struct Inbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::pair<size_t, size_t>> done;  // guarded by mutex; set, and call within it
};

struct OneCall {
  std::shared_ptr<LeafLink> leaf;
  std::shared_ptr<LeafLink::Call> call;
  bool flying = true;
};

// What is known of one replica set's part of the query.
struct Part {
  const ReplicaSet* set = nullptr;
  std::vector<OneCall> calls;
  std::vector<bool> tried;  // beside set->leaves
  std::optional<steady_clock::time_point> hedge_at;
  bool over = false;
  std::optional<LeafAnswer> answer;
  std::vector<std::string> troubles;
};

class Query {
 public:
  Query(const Routing& routing, const VisualQuery& query, const std::string& release, const AllowedDocs& allowed,
        const FanOutOptions& options)
      : query_(query), release_(release), allowed_(allowed), options_(options), inbox_(std::make_shared<Inbox>()) {
    ToMessage(query, message_);
    for (const ReplicaSet& set : routing.sets) {
      parts_.emplace_back();
      parts_.back().set = &set;
      parts_.back().tried.resize(set.leaves.size());
    }
  }

  absl::Status Run() {
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (options_.hedges != nullptr) options_.hedges->Earn();
      StartNext(i);
    }
    std::unique_lock lock(inbox_->mutex);
    while (failure_.ok() && std::ranges::any_of(parts_, [](const Part& part) { return !part.over; })) {
      if (inbox_->done.empty()) {
        const auto until = NextEvent();
        if (until == steady_clock::time_point::max()) {
          inbox_->changed.wait(lock);
        } else if (inbox_->changed.wait_until(lock, until) == std::cv_status::timeout && query_.deadline.Passed()) {
          break;
        }
      }
      std::deque<std::pair<size_t, size_t>> done;
      done.swap(inbox_->done);
      lock.unlock();
      for (const auto& [part, call] : done) Finished(part, call);
      Hedge();
      lock.lock();
    }
    lock.unlock();
    for (Part& part : parts_) {
      for (OneCall& one : part.calls) {
        if (one.flying) one.call->context.TryCancel();
      }
      if (!part.over) part.troubles.push_back("no answer came before the query's deadline");
    }
    return failure_;
  }

  std::vector<Part>& parts() { return parts_; }

 private:
  // The leaf that is likely to answer first, of those that were not asked yet and are up.
  std::optional<size_t> Best(const Part& part) const {
    std::optional<size_t> best;
    double least = 0;
    for (size_t i = 0; i < part.set->leaves.size(); ++i) {
      if (part.tried[i] || !part.set->leaves[i]->up()) continue;
      const double load = part.set->leaves[i]->Load();
      if (!best || load < least) {
        best = i;
        least = load;
      }
    }
    return best;
  }

  // Asks another leaf; when there is none and no call is under way, the part is over.
  void StartNext(size_t i) {
    Part& part = parts_[i];
    const std::optional<size_t> best = Best(part);
    if (best) {
      part.tried[*best] = true;
      Start(i, part.set->leaves[*best]);
    } else if (std::ranges::none_of(part.calls, &OneCall::flying)) {
      part.over = true;
      for (size_t leaf = 0; leaf < part.tried.size(); ++leaf) {
        if (!part.tried[leaf]) part.troubles.push_back(part.set->leaves[leaf]->Trouble());
      }
    }
  }

  void Start(size_t i, const std::shared_ptr<LeafLink>& leaf) {
    Part& part = parts_[i];
    auto call = std::make_shared<LeafLink::Call>();
    const auto now = steady_clock::now();
    const auto until = std::min(query_.deadline.when(), now + options_.patience);
    call->context.set_deadline(std::chrono::system_clock::now() + (until - now));
    v1::SearchRequest& request = call->request;
    request.set_release(release_);
    request.mutable_segments()->Assign(part.set->segments.begin(), part.set->segments.end());
    *request.mutable_query() = message_;
    for (const uint32_t segment : part.set->segments) {
      if (allowed_.empty() || allowed_[segment] == nullptr) continue;
      v1::Filter& filter = *request.add_filters();
      filter.set_segment(segment);
      const auto [known, made] = digests_.try_emplace(segment);
      if (made) known->second = DigestOf(*allowed_[segment]);
      filter.set_digest(known->second);
      if (!leaf->Sent(known->second)) filter.set_body(EncodeDocSet(*allowed_[segment]));
    }
    const size_t number = part.calls.size();
    part.calls.push_back({leaf, call});
    const double p95 = std::ranges::min(
        part.set->leaves | std::views::transform([](const auto& one) { return one->Percentile95(kUnknownMs); }));
    part.hedge_at = now + std::chrono::microseconds(static_cast<int64_t>(1000 * std::max(p95, kLeastHedgeMs)));
    leaf->Search(std::move(call), [inbox = inbox_, i, number] {
      const std::lock_guard lock(inbox->mutex);
      inbox->done.emplace_back(i, number);
      inbox->changed.notify_one();
    });
  }

  void Finished(size_t i, size_t number) {
    Part& part = parts_[i];
    OneCall& one = part.calls[number];
    one.flying = false;
    if (part.over) return;
    const v1::SearchReply& reply = one.call->reply;
    absl::Status status = one.call->status;
    if (status.ok() && reply.unknown_size() > 0) {
      // The leaf has forgotten filters, or is another process by now: once more, with their bodies.
      one.leaf->ForgetFilters();
      if (std::ranges::count(part.calls, one.leaf, &OneCall::leaf) < 2) {
        Start(i, std::shared_ptr<LeafLink>(one.leaf));
        return;
      }
      status = absl::InternalError("it does not keep filters");
    }
    if (status.ok()) status = Take(part, reply);
    if (status.ok()) {
      part.over = true;
      for (const v1::Filter& filter : one.call->request.filters()) one.leaf->Remember(filter.digest());
      for (OneCall& other : part.calls) {
        if (other.flying) other.call->context.TryCancel();
      }
      return;
    }
    if (absl::IsInvalidArgument(status)) {
      failure_ = status;
      return;
    }
    part.troubles.push_back(Named(*one.leaf, status));
    StartNext(i);
  }

  static absl::Status Take(Part& part, const v1::SearchReply& reply) {
    if (reply.documents() != part.set->documents || reply.scanned() > reply.documents()) {
      return absl::DataLossError("it has other images in the release than this root");
    }
    LeafAnswer answer;
    for (const v1::Hit& hit : reply.hits()) {
      auto read = FromMessage(hit);
      if (!read.ok()) return absl::DataLossError(MessageOf(read.status()));
      answer.hits.push_back(*std::move(read));
    }
    answer.stats.documents = reply.documents();
    answer.stats.scanned = reply.scanned();
    answer.stats.compared = reply.compared();
    answer.background = {reply.background_count(), reply.background_sum(), reply.background_squares()};
    part.answer = std::move(answer);
    return absl::OkStatus();
  }

  // Second requests for parts whose first one is late.
  void Hedge() {
    if (options_.hedges == nullptr) return;
    const auto now = steady_clock::now();
    for (size_t i = 0; i < parts_.size(); ++i) {
      Part& part = parts_[i];
      if (part.over || !part.hedge_at || now < *part.hedge_at) continue;
      part.hedge_at.reset();
      const std::optional<size_t> best = Best(part);
      if (!best) continue;
      if (!options_.hedges->Spend()) {  // others earn: soon there may be one
        part.hedge_at = now + kBudgetPause;
        continue;
      }
      part.tried[*best] = true;
      Start(i, part.set->leaves[*best]);
    }
  }

  steady_clock::time_point NextEvent() const {
    steady_clock::time_point next = query_.deadline.when();
    if (options_.hedges == nullptr) return next;
    for (const Part& part : parts_) {
      if (!part.over && part.hedge_at) next = std::min(next, *part.hedge_at);
    }
    return next;
  }

  const VisualQuery& query_;
  const std::string release_;
  const AllowedDocs& allowed_;
  const FanOutOptions options_;
  const std::shared_ptr<Inbox> inbox_;
  v1::Query message_;
  std::map<uint32_t, uint64_t> digests_;
  std::vector<Part> parts_;
  absl::Status failure_;
};

}  // namespace

void HedgeBudget::Earn() {
  const std::lock_guard lock(mutex_);
  stock_ = std::min(kStock, stock_ + share_);
}

bool HedgeBudget::Spend() {
  const std::lock_guard lock(mutex_);
  if (stock_ < 1) return false;
  stock_ -= 1;
  ++spent_;
  return true;
}

uint64_t HedgeBudget::spent() const {
  const std::lock_guard lock(mutex_);
  return spent_;
}

absl::StatusOr<LeafAnswer> FanOut(const Snapshot& snapshot, const Routing& routing, const VisualQuery& query,
                                  const AllowedDocs& allowed, const FanOutOptions& options) {
  if (query.deadline.Passed()) return absl::DeadlineExceededError("the time for this request is over");
  Query fan(routing, query, snapshot.name(), allowed, options);
  LIKENESS_RETURN_IF_ERROR(fan.Run());
  std::vector<LeafAnswer> answers;
  std::vector<Coverage::Gap> gaps;
  uint64_t missing = 0;
  const auto gap = [&](uint64_t documents, std::string reason) {
    gaps.push_back({documents, std::move(reason)});
    missing += documents;
  };
  for (Part& part : fan.parts()) {
    if (part.answer) {
      const SearchStats& stats = part.answer->stats;
      if (stats.scanned < stats.documents) {
        gaps.push_back({stats.documents - stats.scanned, "the query's deadline ended the search of a leaf"});
      }
      answers.push_back(*std::move(part.answer));
      continue;
    }
    std::string reason;
    for (const std::string& trouble : part.troubles) reason += (reason.empty() ? "" : "; ") + trouble;
    gap(part.set->documents, std::move(reason));
  }
  if (!routing.unserved.empty()) gap(routing.unserved_documents, routing.why);
  if (answers.empty() && !gaps.empty()) {
    return absl::UnavailableError("no leaf has answered (" + gaps.front().reason +
                                  "): start leaves, or correct [cluster] in likeness.toml");
  }
  LeafAnswer merged = MergeAnswers(answers, query.k);
  merged.stats.documents += missing;
  merged.gaps = std::move(gaps);
  return merged;
}

}  // namespace likeness
