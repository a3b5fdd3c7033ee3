#include "cluster/leaf_link.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "cluster/rpc.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kProbeTime{1000};
constexpr milliseconds kSilence{1000};    // without an answer, and with two failures: it is taken for gone
constexpr uint64_t kFewAnswers = 16;      // before that there is no percentile
constexpr size_t kMostRemembered = 4096;  // digests
constexpr double kForgetSeconds = 10;     // a mean that old counts little: the leaf is tried again

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetServiceConfigJSON("{}");
  return grpc::CreateCustomChannel("dns:///" + address, grpc::InsecureChannelCredentials(), arguments);
}

std::shared_ptr<const LeafDescription> Read(const v1::DescribeReply& reply) {
  auto read = std::make_shared<LeafDescription>();
  for (const v1::DescribeReply::Release& one : reply.releases()) {
    LeafDescription::Release release{one.name(), {}, {}};
    release.segments.assign(one.segments().begin(), one.segments().end());
    release.problems.assign(one.problems().begin(), one.problems().end());
    read->releases.push_back(std::move(release));
  }
  read->waiting = reply.waiting();
  read->searched = reply.searched();
  read->refused = reply.refused();
  read->late = reply.late();
  return read;
}

bool ServesTheSame(const LeafDescription& a, const LeafDescription& b) {
  return std::ranges::equal(a.releases, b.releases, [](const auto& x, const auto& y) {
    return x.name == y.name && x.segments == y.segments && x.problems == y.problems;
  });
}

double Seconds(steady_clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

const LeafDescription::Release* LeafDescription::Find(std::string_view release) const {
  const auto found = std::ranges::find(releases, release, &Release::name);
  return found == releases.end() ? nullptr : &*found;
}

LeafLink::LeafLink(std::string address, std::string token)
    : address_(std::move(address)), token_(std::move(token)), stub_(v1::Leaf::NewStub(ChannelTo(address_))) {}

LeafLink::~LeafLink() {
  std::unique_lock lock(mutex_);
  const auto under_way = under_way_;
  lock.unlock();  // a cancelled call's callback may come on this thread
  for (const auto& [key, context] : under_way) context->TryCancel();
  lock.lock();
  ended_.wait(lock, [&] { return under_way_.empty(); });
}

void LeafLink::Begin(std::shared_ptr<grpc::ClientContext> context) {
  if (!token_.empty()) context->AddMetadata("authorization", "Bearer " + token_);
  const std::lock_guard lock(mutex_);
  under_way_.emplace(context.get(), std::move(context));
}

// The last that a callback does: when it returns, there may be no link. The callback lets go of its context before: a
// context holds the channel, and the library's thread, were it to end the last channel, would wait for itself.
void LeafLink::End(const grpc::ClientContext* context) {
  const std::lock_guard lock(mutex_);
  under_way_.erase(context);
  ended_.notify_all();
}

void LeafLink::Probe(const std::string& release) {
  {
    const std::lock_guard lock(mutex_);
    if (probing_) return;
    probing_ = true;
  }
  struct Question {
    grpc::ClientContext context;
    v1::DescribeRequest request;
    v1::DescribeReply reply;
  };
  auto question = std::make_shared<Question>();
  Begin({question, &question->context});
  question->context.set_deadline(std::chrono::system_clock::now() + kProbeTime);
  question->request.set_release(release);
  stub_->async()->Describe(&question->context, &question->request, &question->reply,
                           [this, question](const grpc::Status& status) mutable {
                             Answered(FromGrpc(status), 0, false);
                             Described(status.ok() ? Read(question->reply) : nullptr);
                             const auto* const context = &question->context;
                             question.reset();
                             End(context);
                           });
}

void LeafLink::Described(std::shared_ptr<const LeafDescription> said) {
  const std::lock_guard lock(mutex_);
  probing_ = false;
  if (said == nullptr) return;
  if (description_ == nullptr || !ServesTheSame(*description_, *said)) ++version_;
  description_ = std::move(said);
}

std::shared_ptr<const LeafDescription> LeafLink::description() const {
  const std::lock_guard lock(mutex_);
  return description_;
}

uint64_t LeafLink::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

bool LeafLink::up() const {
  const std::lock_guard lock(mutex_);
  return up_;
}

std::string LeafLink::Trouble() const {
  const std::lock_guard lock(mutex_);
  if (up_) return "leaf " + address_ + " answers";
  switch (trouble_.code()) {
    case absl::StatusCode::kUnavailable:
      return "leaf " + address_ + " cannot be reached";
    case absl::StatusCode::kDeadlineExceeded:
      return "leaf " + address_ + " does not answer";
    default:
      return "leaf " + address_ + ": " + MessageOf(trouble_);
  }
}

void LeafLink::Search(std::shared_ptr<Call> call, std::function<void()> done) {
  call->began = steady_clock::now();
  Begin({call, &call->context});
  {
    const std::lock_guard lock(mutex_);
    ++counts_.calls;
    ++counts_.in_flight;
  }
  auto* const raw = call.get();
  stub_->async()->Search(&raw->context, &raw->request, &raw->reply,
                         [this, call = std::move(call), done = std::move(done)](const grpc::Status& status) mutable {
                           call->status = FromGrpc(status);
                           Answered(call->status, 1000 * Seconds(steady_clock::now() - call->began), true);
                           done();
                           const auto* const context = &call->context;
                           done = nullptr;
                           call.reset();
                           End(context);
                         });
}

void LeafLink::Answered(const absl::Status& status, double milliseconds, bool search) {
  const auto now = steady_clock::now();
  bool lost = false, found = false;
  {
    const std::lock_guard lock(mutex_);
    if (search) --counts_.in_flight;
    if (absl::IsCancelled(status)) {  // another was quicker: it would have taken longer than this
      if (milliseconds > mean_) Learn(milliseconds, now);
      return;
    }
    if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsUnauthenticated(status)) {
      ++failures_;
      if (search) ++counts_.failures;
      trouble_ = status;
      const bool silent = failures_ >= 2 && now - last_answer_ > kSilence;
      lost = up_ && (!absl::IsDeadlineExceeded(status) || silent);
      if (lost) up_ = false;
    } else {
      found = !up_ && !search;
      failures_ = 0;
      last_answer_ = now;
      if (found) up_ = true;
      if (search && status.ok()) {
        Learn(milliseconds, now);
        recent_[answers_++ % kRecent] = static_cast<float>(milliseconds);
      }
    }
    // What a new process at this address has been sent is nothing.
    if (lost) sent_.clear();
  }
  if (lost) Log(LogLevel::kWarning, "leaf_lost", {{"leaf", address_}, {"reason", MessageOf(status)}});
  if (found) Log(LogLevel::kInfo, "leaf_found", {{"leaf", address_}});
}

void LeafLink::Learn(double milliseconds, Time now) {
  constexpr double kWeight = 0.2;
  mean_ = mean_at_ == Time() ? milliseconds : (1 - kWeight) * mean_ + kWeight * milliseconds;
  mean_at_ = now;
}

double LeafLink::Load() const {
  const std::lock_guard lock(mutex_);
  if (mean_at_ == Time()) return static_cast<double>(counts_.in_flight);
  const double age = Seconds(steady_clock::now() - mean_at_);
  return mean_ * std::exp(-age / kForgetSeconds) * static_cast<double>(counts_.in_flight + 1);
}

double LeafLink::Percentile95(double unknown) const {
  const std::lock_guard lock(mutex_);
  return Percentile95Locked(unknown);
}

double LeafLink::Percentile95Locked(double unknown) const {
  if (answers_ < kFewAnswers) return unknown;
  std::array<float, kRecent> sorted = recent_;
  const size_t count = std::min<size_t>(kRecent, answers_);
  const auto place = sorted.begin() + static_cast<std::ptrdiff_t>(count * 95 / 100);
  std::nth_element(sorted.begin(), place, sorted.begin() + static_cast<std::ptrdiff_t>(count));
  return *place;
}

bool LeafLink::Sent(uint64_t digest) const {
  const std::lock_guard lock(mutex_);
  return sent_.contains(digest);
}

void LeafLink::Remember(uint64_t digest) {
  const std::lock_guard lock(mutex_);
  if (sent_.size() >= kMostRemembered) sent_.clear();
  sent_.insert(digest);
}

void LeafLink::ForgetFilters() {
  const std::lock_guard lock(mutex_);
  sent_.clear();
}

LeafLink::Counts LeafLink::counts() const {
  const std::lock_guard lock(mutex_);
  Counts counts = counts_;
  counts.p95 = Percentile95Locked(0);
  return counts;
}

}  // namespace likeness
